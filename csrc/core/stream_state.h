// State of a stream.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "base/fork.h"
#include "core/engine.h"
#include "core/inputs.h"
#include "core/row_runner.h"
#include "zoo/generator.h"

namespace zoo {

struct Stream::State {
  // source: without pointers. inputs: of the request; its labels are copied.
  State(std::shared_ptr<Engine> engine, const SampleRequest& request, const LatentSource& source,
        const GraphInputs& inputs, size_t prefetch);
  ~State();

  bool next(Batch* batch, const Cancel& cancel);
  void close();

 private:
  struct Pending {
    Batch batch;
    std::shared_ptr<Job> job;
  };

  // A forked child starts anew after the last batch handed out: the queued batches belong to
  // threads of its parent, which may still be writing to them.
  struct Work {
    std::mutex mutex;  // one consumer at a time
    std::atomic<std::thread::id> consumer{};
    std::deque<Pending> queue;
    std::chrono::steady_clock::time_point returned;  // when the last next() returned
  };

  bool pop(Work* work, Batch* batch, const Cancel& cancel);
  void fill(Work* work);
  Pending create_batch(uint64_t index);
  void drop(Work* work);

  const std::shared_ptr<Engine> engine_;
  const uint64_t n_;
  const size_t batch_;
  const LatentSource source_;
  const std::vector<int64_t> labels_;
  GraphInputs inputs_;
  const size_t prefetch_;
  const size_t run_rows_;
  std::atomic<bool> closed_{false};
  std::atomic<uint64_t> delivered_{0};  // images handed out
  PerProcess<Work> work_;
};

}  // namespace zoo
