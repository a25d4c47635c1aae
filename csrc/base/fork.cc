#include "base/fork.h"

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

namespace zoo {
namespace {

// A child that runs another program needs nothing of ours: it is not held up for ever by a
// library that does not return.
constexpr auto kLongest = std::chrono::seconds(30);

struct Gate {
  std::mutex mutex;
  std::condition_variable changed;
  size_t inside = 0;  // threads that have a guard
  bool forking = false;
  bool ended = false;
  std::thread::id ended_by;
  std::vector<void (*)()> before_forks;

  // Waits, half a minute at most, until the calling thread alone may have guards.
  bool wait_for_others(std::unique_lock<std::mutex>* lock);
};

// Never destroyed: threads may be at work while the process ends.
Gate& gate() {
  alignas(Gate) static unsigned char memory[sizeof(Gate)];
  static auto* const made = new (memory) Gate;
  return *made;
}

thread_local size_t depth = 0;

bool Gate::wait_for_others(std::unique_lock<std::mutex>* lock) {
  const size_t own = depth == 0 ? 0 : 1;
  return changed.wait_for(*lock, kLongest, [&] { return inside == own; });
}

void before_fork() {
  Gate& here = gate();
  std::unique_lock<std::mutex> lock(here.mutex);
  here.changed.wait_for(lock, kLongest, [&] { return !here.forking; });
  here.forking = true;
  if (!here.wait_for_others(&lock) || depth != 0) return;
  const std::vector<void (*)()> calls = here.before_forks;
  lock.unlock();
  for (void (*call)() : calls) call();
}

void after_fork_in_parent() {
  Gate& here = gate();
  {
    const std::lock_guard<std::mutex> lock(here.mutex);
    here.forking = false;
  }
  here.changed.notify_all();
}

// Threads that are no more may wait for it, or hold its lock.
void after_fork_in_child() {
  Gate& here = gate();
  auto* const calls = new std::vector<void (*)()>(here.before_forks);
  new (&here) Gate;
  here.before_forks.swap(*calls);
  delete calls;
  here.inside = depth == 0 ? 0 : 1;
}

[[maybe_unused]] const int registered =
    (gate(), ::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child));

}  // namespace

ForkGuard::ForkGuard() {
  if (depth++ != 0) return;
  Gate& here = gate();
  std::unique_lock<std::mutex> lock(here.mutex);
  if (here.ended && here.ended_by != std::this_thread::get_id()) {
    lock.unlock();
    std::this_thread::sleep_for(kEnding);
    lock.lock();
  }
  here.changed.wait(lock, [&] { return !here.forking; });
  ++here.inside;
}

ForkGuard::~ForkGuard() {
  if (--depth != 0) return;
  Gate& here = gate();
  bool waited_for = false;
  {
    const std::lock_guard<std::mutex> lock(here.mutex);
    --here.inside;
    waited_for = here.forking || here.ended;
  }
  if (waited_for) here.changed.notify_all();
}

void call_before_forks(void (*call)()) {
  Gate& here = gate();
  const std::lock_guard<std::mutex> lock(here.mutex);
  here.before_forks.push_back(call);
}

void end_guarded_calls() {
  Gate& here = gate();
  std::unique_lock<std::mutex> lock(here.mutex);
  here.ended = true;
  here.ended_by = std::this_thread::get_id();
  here.wait_for_others(&lock);
}

}  // namespace zoo
