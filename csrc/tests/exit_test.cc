// A process that ends while its engines are at work. Arguments: a generator's file, the backend.

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
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

  static zoo::Options options(const std::string& backend) {
    zoo::Options options;
    options.backend = backend;
    options.instances = 2;
    return options;
  }
  Work(const std::string& path, const std::string& backend)
      : generator(path, options(backend)), stream(generator.stream(1000000, 7, 0, 1024, 8)) {}
};

// Never destroyed, as what a program has on its heap or on the stack of main() when it calls
// exit().
Work* work = nullptr;

// Leaves by exit(), whose status is 0; what does not end is killed.
void ends(const char* what, const std::function<void()>& prepare) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    prepare();
    std::exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  const std::string how = std::string(what) + ": status " + std::to_string(status);
  zoo::test::check(WIFEXITED(status) && WEXITSTATUS(status) == 0, how.c_str(), __FILE__, __LINE__);
}

void use_in_the_end() {
  const auto images = work->generator.sample(40, 7, 0);
  zoo::Stream::Batch batch;
  work->stream.next(&batch);
  const auto expected = work->generator.sample(1024, 7, batch.first);
  const bool same = std::equal(expected.begin(), expected.end(), batch.images.get());
  if (images.empty() || !same) _exit(9);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s ENGINE BACKEND\n", argv[0]);
    return 2;
  }
  const auto load = [&] { work = new Work(argv[1], argv[2]); };
  const auto sleep = [](int time) { std::this_thread::sleep_for(std::chrono::milliseconds(time)); };
  // No thread is made here: each child makes its own.
  for (const int time : {0, 20}) {
    ends("exit with a stream at work", [&] {
      load();
      sleep(time);
    });
  }
  ends("exit with threads at work that nobody waits for", [&] {
    load();
    for (int i = 0; i < 2; ++i) {
      std::thread([] {
        while (true) work->generator.sample(40);
      }).detach();
      std::thread([] {
        while (true) work->generator.sample(1);
      }).detach();
    }
    sleep(20);
  });
  ends("exit by a handler of an interrupted call", [&] {
    load();
    std::vector<unsigned char> images(20000 * work->generator.manifest().image.bytes());
    zoo::SampleRequest request;
    request.n = 20000;
    work->generator.sample(request, images.data(), []() -> bool { std::exit(0); });
  });
  ends("engines used by what exit() calls", [&] {
    load();
    std::atexit(use_in_the_end);
    // What the runtime registers now is called before that.
    work->generator.sample(1);
  });
  ends("a thread that exit() waits for", [&] {
    static std::thread waited_for;
    std::atexit([] { waited_for.join(); });
    load();
    waited_for = std::thread([] {
      try {
        while (true) work->generator.sample(40);
      } catch (const zoo::ClosedError&) {
      }
    });
    sleep(20);
  });
  return zoo::test::report();
}
