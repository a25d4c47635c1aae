// Worker threads, one per instance of a backend, that share a queue of jobs.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "zoo/options.h"

namespace zoo {

// A job is a number of chunks, done in any order by any instance.
class Job {
 public:
  // work(instance, chunk), called once for each chunk unless the job is cancelled.
  Job(size_t chunks, std::function<void(size_t, size_t)> work)
      : chunks_(chunks), work_(std::move(work)), open_(chunks) {}

 private:
  friend class InstancePool;
  const size_t chunks_;
  std::function<void(size_t, size_t)> work_;
  size_t next_ = 0;  // guarded by the pool's mutex, as is all below
  size_t open_;      // chunks not finished
  std::exception_ptr error_;
  std::condition_variable done_;
};

class InstancePool {
 public:
  explicit InstancePool(size_t instances);
  // Finishes the chunks under way, drops the others.
  ~InstancePool();

  size_t instances() const { return threads_.size(); }

  void submit(const std::shared_ptr<Job>& job);

  // Blocks until the job is done; rethrows the first error of its chunks. When
  // cancel returns true, drops what has not begun, waits for what has, throws
  // CancelledError.
  void wait(const std::shared_ptr<Job>& job, const Cancel& cancel);

  // Drops what has not begun and waits for what has. Never throws.
  void abandon(const std::shared_ptr<Job>& job);

  // submit and wait; one chunk runs in the calling thread where an instance is idle.
  void run(const std::shared_ptr<Job>& job, const Cancel& cancel);

 private:
  void worker();
  void drop(Job* job);
  void execute(Job* job, size_t instance, size_t chunk, std::unique_lock<std::mutex>* lock);

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Job>> queue_;
  std::vector<size_t> idle_;  // instances that nobody uses
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace zoo
