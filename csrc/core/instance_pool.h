// Worker threads, one per instance of a backend, that share a queue of jobs.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "zoo/export.h"
#include "zoo/options.h"

namespace zoo {

// A job is a number of chunks, done in any order by any instance.
class Job {
 public:
  // work(instance, chunk), called once for each chunk unless the job is dropped.
  Job(size_t chunks, std::function<void(size_t, size_t)> work)
      : chunks_(chunks), work_(std::move(work)), open_(chunks) {}

 private:
  friend class InstancePool;
  const size_t chunks_;
  std::function<void(size_t, size_t)> work_;
  size_t next_ = 0;       // guarded by the pool's mutex, as is all below
  size_t open_;           // chunks not finished
  bool dropped_ = false;  // some chunks were never begun
  std::exception_ptr error_;
  std::condition_variable done_;
};

// When the process ends, by exit() or by the end of main or of Python, the threads of all pools are
// stopped before the libraries whose code they run fall apart. The thread that ends the process can
// go on using its pools, and does the work itself; calls by others do not return any more, or,
// should the process be waiting for just them, throw ClosedError.
class InstancePool {
 public:
  // Throws ExecutionError where there cannot be so many threads.
  explicit InstancePool(size_t instances);
  // Finishes the chunks under way, drops the others.
  ~InstancePool();

  size_t instances() const { return instances_; }

  void submit(const std::shared_ptr<Job>& job);

  // Blocks until the job is done, and rethrows the first error of its chunks. False where cancel
  // returned true before; the job then goes on, as it does where cancel throws.
  bool join(const std::shared_ptr<Job>& job, const Cancel& cancel);

  // The same for a job that ends with the call: whatever comes out, none of its chunks is being
  // worked on any more. Throws CancelledError where cancel returned true, and what it throws.
  void wait(const std::shared_ptr<Job>& job, const Cancel& cancel);

  // Drops what has not begun and waits for what has. Never throws.
  void abandon(const std::shared_ptr<Job>& job);

  // submit and wait; one chunk runs in the calling thread where an instance is idle.
  void run(const std::shared_ptr<Job>& job, const Cancel& cancel);

  // Stops the threads of all pools of this process, which is about to end by the calling thread.
  ZOO_API static void stop_all();

 private:
  using Lock = std::unique_lock<std::mutex>;

  void start();
  void stop(std::thread::id by);
  void worker();
  void drop(Job* job);
  void execute(Job* job, size_t instance, size_t chunk, Lock* lock);
  void finish_alone(Job* job, Lock* lock);

  const size_t instances_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable given_back_;  // an instance, after the stop
  std::deque<std::shared_ptr<Job>> queue_;
  std::vector<size_t> idle_;  // instances that nobody uses
  bool used_ = false;
  bool stopped_ = false;
  std::thread::id stopped_by_;  // not a thread's: the destructor
  std::vector<std::thread> threads_;
};

}  // namespace zoo
