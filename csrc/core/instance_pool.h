// Pool of worker threads, one per instance of a backend, with a queue of jobs.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/cores.h"
#include "zoo/export.h"
#include "zoo/options.h"

namespace zoo {

// A number of chunks of work, run in any order by any instance.
class Job {
 public:
  // Calls work(instance, chunk) once for each chunk unless the job is dropped.
  // Calls it for up to `helpers` chunks more, at the same time as chunk 0, while instances are
  // idle.
  Job(size_t chunks, std::function<void(size_t, size_t)> work, size_t helpers = 0)
      : chunks_(chunks), work_(std::move(work)), helpers_(helpers), unfinished_(chunks) {}

 private:
  friend class InstancePool;
  const size_t chunks_;
  std::function<void(size_t, size_t)> work_;
  // Guarded by the pool's mutex; unfinished_ is also read without it.
  size_t helpers_;   // that have not begun
  size_t next_ = 0;  // first chunk that has not begun
  std::atomic<size_t> unfinished_;
  bool dropped_ = false;  // some chunks will never run
  std::exception_ptr error_;
  std::condition_variable done_;
};

// When the process exits, by exit() or by returning from main or Python, the threads of all pools
// are stopped before the libraries that they call are torn down. The thread that ends the process
// can still use its pools, and does the work itself. Calls by other threads no longer return or, if
// the exit is waiting for them, throw ClosedError.
class InstancePool {
 public:
  // cores: number of threads that can run at the same time. Throws ExecutionError if the threads
  // cannot be started.
  explicit InstancePool(size_t instances, size_t cores = count_cores());
  // Finishes the chunks that are running and drops the others.
  ~InstancePool();

  size_t instances() const { return instances_; }

  // Short, as a thread that is expected may not come; long against the time between two calls in a
  // loop.
  static constexpr std::chrono::milliseconds kSoon{1};

  void submit(const std::shared_ptr<Job>& job);

  // Blocks until the job is done, and rethrows the first error of its chunks. Returns false if
  // cancel returns true before; the job then continues, as it does if cancel throws.
  bool join(const std::shared_ptr<Job>& job, const Cancel& cancel) {
    return join(job, cancel, /*helps=*/false);
  }

  // As join, for a thread that takes the results of one submitted job after the other. Where the
  // instances need all cores, it works on the queue while it waits, since to put it to sleep and to
  // wake it takes as long as a small job. soon: it is likely to return within kSoon, for which an
  // instance is kept for it.
  bool join_next(const std::shared_ptr<Job>& job, const Cancel& cancel, bool soon);

  // Waits for a job that must not outlive the call: when it returns or throws, no chunk is running
  // any more. Throws CancelledError if cancel returns true, and rethrows what cancel throws.
  void wait(const std::shared_ptr<Job>& job, const Cancel& cancel);

  // Drops the chunks that have not begun and waits for the others. Never throws.
  void abandon(const std::shared_ptr<Job>& job);

  // Submits a job and waits for it. If an instance is idle, the calling thread works too.
  void run(const std::shared_ptr<Job>& job, const Cancel& cancel);

  // Stops the threads of all pools. Called by the thread that ends the process.
  ZOO_API static void stop_all();

 private:
  using Lock = std::unique_lock<std::mutex>;

  void start();
  void stop(std::thread::id by);
  void worker();
  template <typename Done>
  void spin(const Done& done, Lock* lock);
  bool is_kept() const;
  bool is_attended() const;
  size_t count_available() const;
  void wake(size_t chunks);
  bool join(const std::shared_ptr<Job>& job, const Cancel& cancel, bool helps);
  bool help(const Job* job, Lock* lock);
  size_t take(Job* job);
  void work_on(Job* job, Lock* lock);
  static void remove(const Job* job, std::deque<std::shared_ptr<Job>>* jobs);
  std::shared_ptr<Job> next_job(size_t* chunk);
  void drop(Job* job);
  void execute(Job* job, size_t chunk, Lock* lock);
  void finish_alone(Job* job, Lock* lock);

  const size_t instances_;
  const size_t cores_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable returned_;  // an instance became idle after the stop
  std::deque<std::shared_ptr<Job>> queue_;
  std::deque<std::shared_ptr<Job>> helped_;  // jobs whose first chunk is running and can be helped
  std::vector<size_t> idle_;                 // numbers of the instances not in use
  std::atomic<uint64_t> news_{0};  // changes when workers have a reason to look at the queue
  // Threads that run a chunk, threads that spin, and the workers of these. Changed under the mutex;
  // a thread that spins reads the first two without it.
  std::atomic<size_t> working_{0};
  std::atomic<size_t> spinning_{0};
  size_t spinning_workers_ = 0;
  size_t watching_workers_ = 0;                       // look at the queue now and then
  std::chrono::steady_clock::time_point kept_until_;  // an instance is kept for a caller
  bool used_ = false;
  bool stopped_ = false;
  std::thread::id stopped_by_;  // the thread that ends the process; no thread's id: the destructor
  std::vector<std::thread> threads_;
};

}  // namespace zoo
