#include "core/instance_pool.h"

#include <algorithm>
#include <chrono>

#include "zoo/errors.h"

namespace zoo {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(50);

}  // namespace

InstancePool::InstancePool(size_t instances) {
  for (size_t i = 0; i < instances; ++i) idle_.push_back(instances - 1 - i);
  threads_.reserve(instances);
  for (size_t i = 0; i < instances; ++i) threads_.emplace_back([this] { worker(); });
}

InstancePool::~InstancePool() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void InstancePool::submit(const std::shared_ptr<Job>& job) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    queue_.push_back(job);
  }
  if (job->chunks_ == 1) {
    wake_.notify_one();
  } else {
    wake_.notify_all();
  }
}

// Runs one chunk with the lock released; the instance goes back to the idle ones.
void InstancePool::execute(Job* job, size_t instance, size_t chunk,
                           std::unique_lock<std::mutex>* lock) {
  std::exception_ptr error;
  lock->unlock();
  try {
    job->work_(instance, chunk);
  } catch (...) {
    error = std::current_exception();
  }
  lock->lock();
  idle_.push_back(instance);
  if (error && !job->error_) {
    job->error_ = error;
    drop(job);
  }
  if (--job->open_ == 0) job->done_.notify_all();
}

// Takes the chunks that have not begun out of the job.
void InstancePool::drop(Job* job) {
  job->open_ -= job->chunks_ - job->next_;
  job->next_ = job->chunks_;
  const auto same = [job](const std::shared_ptr<Job>& other) { return other.get() == job; };
  queue_.erase(std::remove_if(queue_.begin(), queue_.end(), same), queue_.end());
}

void InstancePool::worker() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || (!queue_.empty() && !idle_.empty()); });
    if (stopping_) return;
    const std::shared_ptr<Job> job = queue_.front();
    const size_t chunk = job->next_++;
    if (job->next_ == job->chunks_) queue_.pop_front();
    const size_t instance = idle_.back();
    idle_.pop_back();
    execute(job.get(), instance, chunk, &lock);
    if (!queue_.empty()) wake_.notify_one();
  }
}

void InstancePool::wait(const std::shared_ptr<Job>& job, const Cancel& cancel) {
  std::unique_lock<std::mutex> lock(mutex_);
  const auto finished = [&job] { return job->open_ == 0; };
  while (!job->done_.wait_for(lock, kPoll, finished)) {
    if (!cancel) continue;
    lock.unlock();
    const bool stop = cancel();
    lock.lock();
    if (!stop) continue;
    drop(job.get());
    job->done_.wait(lock, finished);
    throw CancelledError("cancelled by the caller");
  }
  if (job->error_) std::rethrow_exception(job->error_);
}

void InstancePool::abandon(const std::shared_ptr<Job>& job) {
  std::unique_lock<std::mutex> lock(mutex_);
  drop(job.get());
  job->done_.wait(lock, [&job] { return job->open_ == 0; });
}

void InstancePool::run(const std::shared_ptr<Job>& job, const Cancel& cancel) {
  if (job->chunks_ == 1) {
    // A hand-over to a worker would cost more than it brings.
    std::unique_lock<std::mutex> lock(mutex_);
    if (queue_.empty() && !idle_.empty()) {
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
