#include "core/fork.h"

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>

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
};

// Never destroyed: threads may be at work while the process ends.
Gate& gate() {
  alignas(Gate) static unsigned char memory[sizeof(Gate)];
  static auto* const made = new (memory) Gate;
  return *made;
}

thread_local size_t depth = 0;

void before_fork() {
  Gate& here = gate();
  std::unique_lock<std::mutex> lock(here.mutex);
  const auto end = std::chrono::steady_clock::now() + kLongest;
  here.changed.wait_until(lock, end, [&] { return !here.forking; });
  here.forking = true;
  const size_t own = depth == 0 ? 0 : 1;
  here.changed.wait_until(lock, end, [&] { return here.inside == own; });
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
  new (&here) Gate;
  here.inside = depth == 0 ? 0 : 1;
}

[[maybe_unused]] const int registered =
    (gate(), ::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child));

}  // namespace

ForkGuard::ForkGuard() {
  if (depth++ != 0) return;
  Gate& here = gate();
  std::unique_lock<std::mutex> lock(here.mutex);
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
    waited_for = here.forking;
  }
  if (waited_for) here.changed.notify_all();
}

}  // namespace zoo
