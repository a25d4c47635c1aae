// Processes that exit while their engines are running. Arguments: a generator's file, the backend.

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>

#include "tests/check.h"
#include "zoo/engine.h"
#include "zoo/errors.h"

namespace {

struct Work {
  zoo::Generator generator;
  zoo::Stream stream;

  Work(const std::string& path, const zoo::Options& options)
      : generator(path, options), stream(generator.stream(1000000, 7, 0, 1024, 8)) {}
};

// Never destroyed, like objects on the heap or the stack of main() when a program calls exit().
Work* work = nullptr;

// Checks that a child that calls prepare() and exit(0) ends with status 0 within a minute.
void check_exit(const char* what, const std::function<void()>& prepare) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    prepare();
    std::exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  const std::string result = std::string(what) + ": status " + std::to_string(status);
  const bool passed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  zoo::test::check(passed, result.c_str(), __FILE__, __LINE__);
}

void run(const std::string& path, const zoo::Options& options) {
  const auto load = [&] { work = new Work(path, options); };
  const auto sleep = [](int time) { std::this_thread::sleep_for(std::chrono::milliseconds(time)); };
  // The parent starts no threads; each child starts its own.
  check_exit("exit by the cancel function of a call", [&] {
    load();
    std::vector<unsigned char> images(20000 * work->generator.manifest().image.bytes());
    zoo::SampleRequest request;
    request.n = 20000;
    work->generator.sample(request, images.data(), []() -> bool { std::exit(0); });
  });
  check_exit("a thread that exit() waits for", [&] {
    static std::thread thread;
    std::atexit([] { thread.join(); });
    load();
    thread = std::thread([] {
      try {
        while (true) work->generator.sample(40);
      } catch (const zoo::ClosedError&) {
      }
    });
    sleep(20);
  });
}

}  // namespace

int main(int argc, char** argv) { return zoo::test::run_with_engine(argc, argv, run); }
