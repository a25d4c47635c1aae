// What a forked child finds of its parent's threads. Arguments: a generator's file, the backend.

#include "base/fork.h"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/check.h"
#include "zoo/engine.h"

namespace {

using std::chrono::milliseconds;
using zoo::ForkGuard;
using zoo::PerProcess;

// Whether a child that does this ends well, in time.
bool child_ends_well(const std::function<bool()>& work) {
  const pid_t child = fork();
  // By the system's own call: ThreadSanitizer's _exit() misses the threads that only the parent
  // has.
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
  CHECK(child_ends_well([&] {
    const ForkGuard guard;
    return done.load();
  }));
  other.join();
  // Not for the guard of the thread that forks.
  const ForkGuard guard;
  CHECK(child_ends_well([] {
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
        const bool good = child_ends_well([&] {
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
  CHECK(child_ends_well([&] {
    const std::lock_guard<std::mutex> own(value.get().mutex);
    return value.get().number == 3;
  }));
  CHECK(value.get().number == 4);
}

#ifndef __SANITIZE_THREAD__  // which ends a child that makes threads

void a_stream_and_its_engine(const std::string& path, const std::string& backend) {
  zoo::Options options;
  options.backend = backend;
  options.instances = 2;
  const zoo::Generator generator(path, options);
  const size_t bytes = generator.manifest().image.bytes();
  constexpr size_t kRows = 256;
  zoo::Stream stream = generator.stream(uint64_t{1} << 40, 7, 0, kRows);
  std::atomic<bool> stop{false};
  std::thread consumer([&] {
    zoo::Stream::Batch batch;
    while (!stop) stream.next(&batch);
  });
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(milliseconds(30));
    CHECK(child_ends_well([&] {
      zoo::Stream::Batch batch;
      for (int k = 0; k < 2; ++k) {
        stream.next(&batch);
        const auto expected = generator.sample(kRows, 7, batch.first);
        if (std::memcmp(batch.images.get(), expected.data(), kRows * bytes) != 0) return false;
      }
      stream.close();
      return true;
    }));
  }
  stop = true;
  consumer.join();
}

#endif

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s ENGINE BACKEND\n", argv[0]);
    return 2;
  }
  a_fork_waits_for_guards();
  forks_and_guards_of_many_threads();
  each_process_has_its_own();
#ifndef __SANITIZE_THREAD__
  a_stream_and_its_engine(argv[1], argv[2]);
#endif
  return zoo::test::report();
}
