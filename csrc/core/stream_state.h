// What a stream has under way.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>

#include "core/engine.h"
#include "core/inputs.h"
#include "zoo/generator.h"

namespace zoo {

struct Stream::State {
  // inputs: those of the request, whose labels are copied.
  State(std::shared_ptr<Engine> engine, const SampleRequest& request, const GraphInputs& inputs,
        size_t prefetch);
  ~State();

  bool next(Batch* batch, const Cancel& cancel);
  void close();

 private:
  struct Ahead {
    Batch batch;
    std::shared_ptr<Job> job;
  };

  void fill();
  void restart_after_fork();

  const std::shared_ptr<Engine> engine_;
  const uint64_t n_;
  const size_t batch_;
  const std::vector<int64_t> labels_;
  GraphInputs inputs_;
  const size_t prefetch_;
  const size_t run_rows_;
  std::atomic<bool> closed_{false};
  std::mutex mutex_;  // one consumer at a time
  std::deque<Ahead> ahead_;
  uint64_t begun_ = 0;      // images submitted
  uint64_t delivered_ = 0;  // images handed out
  pid_t process_;
};

}  // namespace zoo
