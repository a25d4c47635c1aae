// Fork safety. A forked child has the memory of all threads but only one of the threads: locks that
// another thread held stay locked, and data that another thread was changing stays half changed.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <chrono>

#include "zoo/export.h"

namespace zoo {

// Delays forks by other threads, for half a minute at most, while it is alive. Use it around calls
// into libraries, which have locks of their own, and around short sections under our locks. Never
// hold one while waiting for Python's lock: the thread that forks holds that.
class ZOO_API ForkGuard {
 public:
  ForkGuard();
  ~ForkGuard();
  ForkGuard(const ForkGuard&) = delete;
  ForkGuard& operator=(const ForkGuard&) = delete;
};

// Registers a function that the forking thread calls before each fork, once no guards are held.
// The function must not throw or create a guard. There is no way to unregister it.
ZOO_API void call_before_forks(void (*call)());

// Called by the thread that ends the process: waits until no other thread holds a guard. From then
// on, guards for other threads are delayed by kExitDelay.
void end_guarded_calls();

// Delay of threads that do not take part in the exit of the process. Not forever, in case the exit
// is waiting for one of them.
constexpr auto kExitDelay = std::chrono::seconds(2);

// One T per process: a forked child gets a new one at its first call of get(), and leaves its
// parent's untouched. For data that is locked for longer than a fork can wait.
template <typename T>
class PerProcess {
 public:
  PerProcess() : instance_(new Instance) {}
  PerProcess(const PerProcess&) = delete;
  PerProcess& operator=(const PerProcess&) = delete;
  ~PerProcess() {
    Instance* const instance = instance_;
    if (instance->process == getpid()) delete instance;
  }

  T& get() {
    Instance* instance = instance_.load(std::memory_order_acquire);
    if (instance->process == getpid()) return instance->value;
    auto* const fresh = new Instance;
    if (instance_.compare_exchange_strong(instance, fresh)) return fresh->value;
    // Another thread of the child was first.
    delete fresh;
    return instance->value;
  }

 private:
  struct Instance {
    const pid_t process = getpid();
    T value;
  };
  std::atomic<Instance*> instance_;
};

}  // namespace zoo
