// Forked children of processes with several threads.

#include "base/fork.h"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/check.h"

namespace {

using std::chrono::milliseconds;
using zoo::ForkGuard;
using zoo::PerProcess;

// Forks; returns true if work() returns true in the child within a minute.
bool child_succeeds(const std::function<bool()>& work) {
  const pid_t child = fork();
  // A system call, because _exit() of ThreadSanitizer waits for the threads of the parent.
  if (child == 0) ::syscall(SYS_exit_group, work() ? 0 : 1);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > end) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      return false;
    }
    std::this_thread::sleep_for(milliseconds(2));
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void a_fork_waits_for_guards() {
  std::atomic<bool> inside{false};
  std::atomic<bool> done{false};
  std::thread other([&] {
    const ForkGuard guard;
    const ForkGuard nested;
    inside = true;
    std::this_thread::sleep_for(milliseconds(50));
    done = true;
  });
  while (!inside) std::this_thread::yield();
  CHECK(child_succeeds([&] {
    const ForkGuard guard;
    return done.load();
  }));
  other.join();
  // A fork does not wait for guards of its own thread.
  const ForkGuard guard;
  CHECK(child_succeeds([] {
    const ForkGuard nested;
    return true;
  }));
}

void forks_and_guards_of_many_threads() {
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (!stop) {
        const ForkGuard guard;
        const std::lock_guard<std::mutex> lock(mutex);
        std::this_thread::yield();
      }
    });
  }
  std::atomic<int> bad{0};
  std::vector<std::thread> forking;
  for (int i = 0; i < 2; ++i) {
    forking.emplace_back([&] {
      for (int k = 0; k < 10; ++k) {
        const bool good = child_succeeds([&] {
          const ForkGuard guard;
          const std::lock_guard<std::mutex> lock(mutex);
          return true;
        });
        if (!good) ++bad;
      }
    });
  }
  for (auto& thread : forking) thread.join();
  stop = true;
  for (auto& thread : threads) thread.join();
  CHECK(bad == 0);
}

void each_process_has_its_own() {
  struct Value {
    std::mutex mutex;
    int number = 3;
  };
  PerProcess<Value> value;
  value.get().number = 4;
  const std::lock_guard<std::mutex> lock(value.get().mutex);
  CHECK(child_succeeds([&] {
    const std::lock_guard<std::mutex> own(value.get().mutex);
    return value.get().number == 3;
  }));
  CHECK(value.get().number == 4);
}

}  // namespace

int main() {
  a_fork_waits_for_guards();
  forks_and_guards_of_many_threads();
  each_process_has_its_own();
  return zoo::test::report();
}
