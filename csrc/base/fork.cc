#include "base/fork.h"

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "base/wait.h"

namespace zoo {
namespace {

// Most children go on to exec and need nothing of ours, so a library call that never returns must
// not block a fork forever.
constexpr auto kMaxWait = std::chrono::seconds(30);

struct Gate {
  std::mutex mutex;
  std::condition_variable changed;
  size_t inside = 0;  // threads that hold a guard
  bool forking = false;
  bool ended = false;
  std::thread::id ended_by;
  std::vector<void (*)()> before_forks;

  // Waits, for kMaxWait at most, until no other thread holds a guard. Returns false on timeout.
  bool wait_for_others(std::unique_lock<std::mutex>* lock);
};

// Never destroyed, because threads may still be running while the process exits.
Gate& gate() {
  alignas(Gate) static unsigned char memory[sizeof(Gate)];
  static auto* const instance = new (memory) Gate;
  return *instance;
}

thread_local size_t depth = 0;

bool Gate::wait_for_others(std::unique_lock<std::mutex>* lock) {
  const size_t own = depth == 0 ? 0 : 1;
  return changed.wait_for(*lock, kMaxWait, [&] { return inside == own; });
}

void before_fork() {
  Gate& here = gate();
  std::unique_lock<std::mutex> lock(here.mutex);
  here.changed.wait_for(lock, kMaxWait, [&] { return !here.forking; });
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

// Builds the gate anew: threads that do not exist in the child may hold its lock or wait for it.
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
    std::this_thread::sleep_for(kExitDelay);
    lock.lock();
  }
  wait_until_true(here.changed, lock, [&] { return !here.forking; });
  ++here.inside;
}

ForkGuard::~ForkGuard() {
  if (--depth != 0) return;
  Gate& here = gate();
  bool has_waiters = false;
  {
    const std::lock_guard<std::mutex> lock(here.mutex);
    --here.inside;
    has_waiters = here.forking || here.ended;
  }
  if (has_waiters) here.changed.notify_all();
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
