// Forks of the process. A child has the memory of all threads and only one of them, so what another
// thread had locked stays locked in it, and what another was changing stays half changed.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <chrono>

#include "zoo/export.h"

namespace zoo {

// While one lives, a fork by another thread waits, half a minute at most. For calls of libraries,
// which have locks of their own, and for short work under ours; never around what may wait for
// Python's lock, which a thread that forks has.
class ZOO_API ForkGuard {
 public:
  ForkGuard();
  ~ForkGuard();
  ForkGuard(const ForkGuard&) = delete;
  ForkGuard& operator=(const ForkGuard&) = delete;
};

// Called by the thread that forks, before it does, when there are no guards. Does not throw, and
// makes no guard. For the life of the process.
ZOO_API void call_before_forks(void (*call)());

// For the end of the process, by the calling thread: waits until there are no guards. Other threads
// get no more of them, or late, should the process be waiting for just them.
void end_guarded_calls();

// How long that is: what a thread sleeps that has no part in the end of the process.
constexpr auto kEnding = std::chrono::seconds(2);

// A T of each process: a child gets a new one at its first call of get(), and the one of its parent
// is left as it is. For what is locked for longer than a fork can wait.
template <typename T>
class PerProcess {
 public:
  PerProcess() : kept_(new Kept) {}
  PerProcess(const PerProcess&) = delete;
  PerProcess& operator=(const PerProcess&) = delete;
  ~PerProcess() {
    Kept* const kept = kept_;
    if (kept->process == getpid()) delete kept;
  }

  T& get() {
    Kept* kept = kept_.load(std::memory_order_acquire);
    if (kept->process == getpid()) return kept->value;
    auto* const fresh = new Kept;
    if (kept_.compare_exchange_strong(kept, fresh)) return fresh->value;
    // Another thread of the child was first.
    delete fresh;
    return kept->value;
  }

 private:
  struct Kept {
    const pid_t process = getpid();
    T value;
  };
  std::atomic<Kept*> kept_;
};

}  // namespace zoo
