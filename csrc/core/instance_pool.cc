#include "core/instance_pool.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <set>
#include <system_error>

#include "base/fork.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(50);

struct Pools {
  std::mutex mutex;
  std::set<InstancePool*> all;
  bool ending = false;
  std::thread::id ended_by;
};

// Never destroyed: pools of static objects may go after it.
Pools& pools() {
  static auto* const kept = new PerProcess<Pools>;
  return kept->get();
}

// What was registered last is called first: it is done anew once a pool has run, for libraries
// make some of what they destroy in the end only then.
void stop_at_exit() { std::atexit(&InstancePool::stop_all); }

}  // namespace

InstancePool::InstancePool(size_t instances) : instances_(instances) {
  for (size_t i = 0; i < instances; ++i) idle_.push_back(instances - 1 - i);
  stop_at_exit();
  Pools& known = pools();
  const std::lock_guard<std::mutex> lock(known.mutex);
  known.all.insert(this);
  if (known.ending) {
    stopped_ = true;
    stopped_by_ = known.ended_by;
    return;
  }
  try {
    start();
  } catch (...) {
    stop({});
    known.all.erase(this);
    throw;
  }
}

void InstancePool::start() {
  threads_.reserve(instances_);
  try {
    while (threads_.size() < instances_) threads_.emplace_back([this] { worker(); });
  } catch (const std::system_error& error) {
    throw ExecutionError("instances: " + std::to_string(instances_) + " threads are needed, and " +
                         std::to_string(threads_.size()) +
                         " could be made: " + error.code().message());
  }
}

InstancePool::~InstancePool() {
  {
    Pools& known = pools();
    const std::lock_guard<std::mutex> lock(known.mutex);
    known.all.erase(this);
  }
  stop({});
}

void InstancePool::stop(std::thread::id by) {
  {
    const Lock lock(mutex_);
    stopped_ = true;
    stopped_by_ = by;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
  // Callers run single chunks in their own threads.
  Lock lock(mutex_);
  given_back_.wait(lock, [this] { return idle_.size() == instances_; });
}

void InstancePool::stop_all() {
  Pools& known = pools();
  {
    const std::lock_guard<std::mutex> lock(known.mutex);
    known.ending = true;
    known.ended_by = std::this_thread::get_id();
    for (InstancePool* pool : known.all) pool->stop(known.ended_by);
  }
  // Engines may be loaded just now.
  end_guarded_calls();
}

void InstancePool::submit(const std::shared_ptr<Job>& job) {
  {
    const Lock lock(mutex_);
    queue_.push_back(job);
  }
  if (job->chunks_ == 1) {
    wake_.notify_one();
  } else {
    wake_.notify_all();
  }
}

// Runs one chunk with the lock released; the instance goes back to the idle ones.
void InstancePool::execute(Job* job, size_t instance, size_t chunk, Lock* lock) {
  std::exception_ptr error;
  const bool first = !used_;
  used_ = true;
  lock->unlock();
  try {
    job->work_(instance, chunk);
  } catch (...) {
    error = std::current_exception();
  }
  if (first) stop_at_exit();
  lock->lock();
  idle_.push_back(instance);
  if (stopped_) given_back_.notify_all();
  if (error && !job->error_) {
    job->error_ = error;
    drop(job);
  }
  if (--job->open_ == 0) job->done_.notify_all();
}

// Takes the chunks that have not begun out of the job.
void InstancePool::drop(Job* job) {
  if (job->next_ == job->chunks_) return;
  job->dropped_ = true;
  job->open_ -= job->chunks_ - job->next_;
  job->next_ = job->chunks_;
  const auto same = [job](const std::shared_ptr<Job>& other) { return other.get() == job; };
  queue_.erase(std::remove_if(queue_.begin(), queue_.end(), same), queue_.end());
}

void InstancePool::worker() {
  Lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopped_ || (!queue_.empty() && !idle_.empty()); });
    if (stopped_) return;
    const std::shared_ptr<Job> job = queue_.front();
    const size_t chunk = job->next_++;
    if (job->next_ == job->chunks_) queue_.pop_front();
    const size_t instance = idle_.back();
    idle_.pop_back();
    execute(job.get(), instance, chunk, &lock);
    if (!queue_.empty()) wake_.notify_one();
  }
}

// After the stop: what no thread has begun.
void InstancePool::finish_alone(Job* job, Lock* lock) {
  if (std::this_thread::get_id() != stopped_by_) {
    drop(job);
    job->done_.wait(*lock, [job] { return job->open_ == 0; });
    lock->unlock();
    std::this_thread::sleep_for(kEnding);
    throw ClosedError("the process is ending");
  }
  const auto same = [job](const std::shared_ptr<Job>& other) { return other.get() == job; };
  queue_.erase(std::remove_if(queue_.begin(), queue_.end(), same), queue_.end());
  while (job->next_ != job->chunks_) {
    const size_t instance = idle_.back();
    idle_.pop_back();
    execute(job, instance, job->next_++, lock);
  }
}

bool InstancePool::join(const std::shared_ptr<Job>& job, const Cancel& cancel) {
  Lock lock(mutex_);
  const auto finished = [&job] { return job->open_ == 0; };
  while (true) {
    if (stopped_ && !finished()) finish_alone(job.get(), &lock);
    if (job->done_.wait_for(lock, kPoll, finished)) break;
    if (!cancel) continue;
    lock.unlock();
    const bool stop = cancel();
    lock.lock();
    if (stop) return false;
  }
  if (job->error_) std::rethrow_exception(job->error_);
  // Not all of its work was done: nothing of it may be taken for a result.
  if (job->dropped_) throw CancelledError("the work was abandoned");
  return true;
}

void InstancePool::wait(const std::shared_ptr<Job>& job, const Cancel& cancel) try {
  if (!join(job, cancel)) throw CancelledError("cancelled by the caller");
} catch (...) {
  abandon(job);
  throw;
}

void InstancePool::abandon(const std::shared_ptr<Job>& job) {
  Lock lock(mutex_);
  drop(job.get());
  job->done_.wait(lock, [&job] { return job->open_ == 0; });
}

void InstancePool::run(const std::shared_ptr<Job>& job, const Cancel& cancel) {
  if (job->chunks_ == 1) {
    // A hand-over to a worker would cost more than it brings.
    Lock lock(mutex_);
    if (!stopped_ && queue_.empty() && !idle_.empty()) {
      const size_t instance = idle_.back();
      idle_.pop_back();
      job->next_ = 1;
      execute(job.get(), instance, 0, &lock);
      if (!queue_.empty()) wake_.notify_one();
      if (job->error_) std::rethrow_exception(job->error_);
      return;
    }
  }
  submit(job);
  wait(job, cancel);
}

}  // namespace zoo
