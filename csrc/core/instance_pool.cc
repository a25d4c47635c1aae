#include "core/instance_pool.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <set>
#include <system_error>

#include "base/fork.h"
#include "base/pause.h"
#include "base/wait.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPoll = std::chrono::milliseconds(50);

// Time that a thread waits without sleeping: to wake it up takes about 20 µs, a tenth of the time
// that an instance needs for eight small images. Longer than the time between two calls in a loop.
constexpr auto kSpin = std::chrono::microseconds(50);

struct Pools {
  std::mutex mutex;
  std::set<InstancePool*> all;
  bool exiting = false;
  std::thread::id exited_by;
};

// Never destroyed, because pools of static objects may outlive it.
Pools& pools() {
  static auto* const instance = new PerProcess<Pools>;
  return instance->get();
}

// Exit handlers run in reverse order of registration. Libraries register some of theirs during
// their first run, so this is called again after it.
void stop_at_exit() { std::atexit(&InstancePool::stop_all); }

}  // namespace

InstancePool::InstancePool(size_t instances, size_t cores) : instances_(instances), cores_(cores) {
  for (size_t i = 0; i < instances; ++i) idle_.push_back(instances - 1 - i);
  stop_at_exit();
  Pools& known = pools();
  const std::lock_guard<std::mutex> lock(known.mutex);
  known.all.insert(this);
  if (known.exiting) {
    stopped_ = true;
    stopped_by_ = known.exited_by;
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
    throw ExecutionError("instances: only " + std::to_string(threads_.size()) + " of " +
                         std::to_string(instances_) +
                         " threads could be started: " + error.code().message());
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
    ++news_;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
  // Callers that run a single chunk in their own thread still use an instance.
  Lock lock(mutex_);
  wait_until_true(returned_, lock, [this] { return idle_.size() == instances_; });
}

void InstancePool::stop_all() {
  Pools& known = pools();
  {
    const std::lock_guard<std::mutex> lock(known.mutex);
    known.exiting = true;
    known.exited_by = std::this_thread::get_id();
    for (InstancePool* pool : known.all) pool->stop(known.exited_by);
  }
  // Other threads may be loading engines.
  end_guarded_calls();
}

void InstancePool::submit(const std::shared_ptr<Job>& job) {
  const Lock lock(mutex_);
  queue_.push_back(job);
  wake(job->chunks_);
}

// Returns true if one of the idle instances is kept for a caller.
bool InstancePool::is_kept() const { return !idle_.empty() && kept_until_ > Clock::now(); }

// Returns true if a worker will look at the queue soon, without being woken.
bool InstancePool::is_attended() const { return spinning_workers_ + watching_workers_ != 0; }

// Number of idle instances for the workers.
size_t InstancePool::count_available() const { return idle_.size() - (is_kept() ? 1 : 0); }

// Makes the workers look at the queue, as many as there are chunks and idle instances. Those that
// spin need no waking. Where chunks are left for an instance that is kept, one more may have to
// wait until it is not.
void InstancePool::wake(size_t chunks) {
  ++news_;
  const bool kept = is_kept();
  size_t wanted = std::min(chunks, idle_.size() - (kept ? 1 : 0));
  if (kept && wanted < chunks && !is_attended()) ++wanted;
  for (size_t i = spinning_workers_; i < wanted; ++i) wake_.notify_one();
}

// Waits for a short time until done(), with the lock released meanwhile. A thread that spins must
// not keep one that works from a core, also if that one begins later.
template <typename Done>
void InstancePool::spin(const Done& done, Lock* lock) {
  if (spinning_ + working_ >= cores_) return;
  ++spinning_;
  lock->unlock();
  const auto end = Clock::now() + kSpin;
  while (!done() && spinning_ + working_ <= cores_ && Clock::now() < end) {
    for (int i = 0; i < 16; ++i) pause();
  }
  lock->lock();
  --spinning_;
}

// Returns a chunk of a job in the queue, which leaves it with the last one.
size_t InstancePool::take(Job* job) {
  const size_t chunk = job->next_++;
  if (job->next_ == job->chunks_) remove(job, &queue_);
  return chunk;
}

// Runs one chunk on an idle instance, with the lock released meanwhile.
void InstancePool::execute(Job* job, size_t chunk, Lock* lock) {
  const size_t instance = idle_.back();
  idle_.pop_back();
  ++working_;
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
  --working_;
  if (stopped_) returned_.notify_all();
  if (error && !job->error_) {
    job->error_ = error;
    drop(job);
  }
  if (chunk == 0) remove(job, &helped_);
  if (--job->unfinished_ == 0) job->done_.notify_all();
}

void InstancePool::remove(const Job* job, std::deque<std::shared_ptr<Job>>* jobs) {
  const auto same = [job](const std::shared_ptr<Job>& other) { return other.get() == job; };
  jobs->erase(std::remove_if(jobs->begin(), jobs->end(), same), jobs->end());
}

// Gives up the chunks of a job that have not begun.
void InstancePool::drop(Job* job) {
  if (job->next_ == job->chunks_) return;
  job->dropped_ = true;
  job->unfinished_ -= job->chunks_ - job->next_;
  job->next_ = job->chunks_;
  remove(job, &queue_);
}

// Returns the job that an idle worker should work on, and a chunk. Work that waits goes before
// help.
std::shared_ptr<Job> InstancePool::next_job(size_t* chunk) {
  if (!queue_.empty()) {
    std::shared_ptr<Job> job = queue_.front();
    *chunk = take(job.get());
    return job;
  }
  std::shared_ptr<Job> job = helped_.front();
  *chunk = job->chunks_ + --job->helpers_;
  ++job->unfinished_;
  if (job->helpers_ == 0) helped_.pop_front();
  return job;
}

void InstancePool::worker() {
  Lock lock(mutex_);
  const auto has_work = [this] {
    return stopped_ || (!(queue_.empty() && helped_.empty()) && count_available() != 0);
  };
  bool busy = false;  // a moment ago
  while (true) {
    if (busy && !has_work()) {
      const uint64_t seen = news_;
      ++spinning_workers_;
      spin([this, seen] { return news_ != seen; }, &lock);
      --spinning_workers_;
    }
    while (!has_work()) {
      if (queue_.empty() || watching_workers_ != 0) {
        wake_.wait_for(lock, kLookAgain);
      } else {
        // A caller has an instance, or one is kept for it: it may go without telling anybody.
        ++watching_workers_;
        wake_.wait_for(lock, kSoon);
        --watching_workers_;
      }
    }
    if (stopped_) return;
    size_t chunk = 0;
    const std::shared_ptr<Job> job = next_job(&chunk);
    // Several calls may have counted on the same worker.
    if (!queue_.empty() && (count_available() > 1 || (is_kept() && !is_attended()))) wake(1);
    execute(job.get(), chunk, &lock);
    busy = true;
  }
}

// Lets the calling thread run chunks of a job in the queue, until others must be waited for or it
// is time to poll for cancellation.
void InstancePool::work_on(Job* job, Lock* lock) {
  const auto end = Clock::now() + kPoll;
  while (!stopped_ && !idle_.empty() && !queue_.empty() && queue_.front().get() == job) {
    execute(job, take(job), lock);
    if (Clock::now() > end) break;
  }
  if (!queue_.empty()) wake(1);
}

// Finishes a job after the workers have stopped: the thread that ends the process runs the chunks
// itself, others give up.
void InstancePool::finish_alone(Job* job, Lock* lock) {
  if (std::this_thread::get_id() != stopped_by_) {
    drop(job);
    wait_until_true(job->done_, *lock, [job] { return job->unfinished_ == 0; });
    lock->unlock();
    std::this_thread::sleep_for(kExitDelay);
    throw ClosedError("the process is exiting");
  }
  remove(job, &queue_);
  while (job->next_ != job->chunks_) execute(job, job->next_++, lock);
}

// Lets a thread that waits for a job run chunks of the queue. Returns true when it is time to poll
// for cancellation.
bool InstancePool::help(const Job* job, Lock* lock) {
  kept_until_ = {};
  const auto end = Clock::now() + kPoll;
  while (job->unfinished_ != 0 && !stopped_ && !idle_.empty() && !queue_.empty()) {
    size_t chunk = 0;
    const std::shared_ptr<Job> other = next_job(&chunk);
    execute(other.get(), chunk, lock);
    if (Clock::now() > end) return true;
  }
  return false;
}

bool InstancePool::join_next(const std::shared_ptr<Job>& job, const Cancel& cancel, bool soon) {
  // Workers that leave a core to the caller go ahead of it without its help.
  const bool helps = instances_ >= cores_;
  const bool joined = join(job, cancel, helps);
  if (helps) {
    const Lock lock(mutex_);
    if (soon) kept_until_ = Clock::now() + kSoon;
    // The workers may have gone to sleep while this thread had an instance.
    if (!queue_.empty() && !is_attended()) wake(1);
  }
  return joined;
}

bool InstancePool::join(const std::shared_ptr<Job>& job, const Cancel& cancel, bool helps) {
  Lock lock(mutex_);
  const auto finished = [&job] { return job->unfinished_ == 0; };
  while (true) {
    const bool poll = helps && help(job.get(), &lock);
    if (!poll && !finished()) spin(finished, &lock);
    if (stopped_ && !finished()) finish_alone(job.get(), &lock);
    if (poll ? finished() : job->done_.wait_for(lock, kPoll, finished)) break;
    if (!cancel) continue;
    lock.unlock();
    const bool stop = cancel();
    lock.lock();
    if (stop) return false;
  }
  if (job->error_) std::rethrow_exception(job->error_);
  // Some chunks never ran, so the output is incomplete.
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
  wait_until_true(job->done_, lock, [&job] { return job->unfinished_ == 0; });
}

void InstancePool::run(const std::shared_ptr<Job>& job, const Cancel& cancel) {
  {
    Lock lock(mutex_);
    queue_.push_back(job);
    if (stopped_ || idle_.empty() || queue_.front() != job) {
      wake(job->chunks_);
    } else {
      // To leave a small chunk to a worker only costs time.
      const size_t others = idle_.size() - 1;
      const size_t threads = instances_ - others;  // at work, this one included
      job->helpers_ = std::min({job->helpers_, others, cores_ - std::min(cores_, threads)});
      if (job->helpers_ != 0) helped_.push_back(job);
      if (others != 0) wake(std::min(job->chunks_ - 1 + job->helpers_, others));
      work_on(job.get(), &lock);
    }
  }
  wait(job, cancel);
}

}  // namespace zoo
