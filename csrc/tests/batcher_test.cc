// Requests of many threads, some of which are cancelled or late. Arguments: a generator, the
// backend.

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <future>
#include <random>
#include <thread>
#include <vector>

#include "tests/check.h"
#include "zoo/engine.h"

namespace {

using zoo::Batcher;

// A request and where its images go. `ended` gets what has gone wrong.
struct Call {
  zoo::SampleRequest request;
  std::vector<zoo::SampleKey> keys;
  std::vector<uint8_t> images;
  std::promise<std::exception_ptr> ended;
  std::atomic<int> times{0};

  Call(const zoo::Generator& generator, uint64_t n) {
    request.n = n;
    images.resize(n * generator.manifest().image.bytes());
  }

  Batcher::Done done() {
    return [this](std::exception_ptr error) {
      if (++times == 1) ended.set_value(std::move(error));
    };
  }

  // Waits, and throws what has gone wrong.
  void wait() {
    const std::exception_ptr error = ended.get_future().get();
    CHECK(times == 1);
    if (error) std::rethrow_exception(error);
  }
};

std::vector<uint8_t> alone(const zoo::Generator& generator, const Call& call) {
  std::vector<uint8_t> images(call.images.size());
  generator.sample(call.request, images.data());
  return images;
}

void threads_get_their_own_images(const zoo::Generator& generator) {
  Batcher batcher(generator, {/*images=*/8, /*delay=*/0.001, /*queue=*/100000});
  std::atomic<int> wrong{0}, ended{0}, cancelled{0};
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      std::mt19937_64 random(thread);
      for (int i = 0; i < 25; ++i) {
        Call call(generator, 1 + random() % 20);
        if (random() % 2 == 0) {
          call.request.seed = random();
          call.request.first = random() % 1000;
        } else {
          for (uint64_t row = 0; row < call.request.n; ++row) {
            call.keys.push_back({random(), random()});
          }
          call.request.keys = call.keys.data();
        }
        const uint64_t number = batcher.sample(call.request, call.images.data(), call.done());
        if (random() % 4 == 0) batcher.cancel(number);
        try {
          call.wait();
          if (call.images != alone(generator, call)) ++wrong;
          ++ended;
        } catch (const zoo::CancelledError&) {
          ++cancelled;
        }
        batcher.cancel(number);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(ended + cancelled == 100 && ended >= 50);
  const zoo::BatcherStatistics statistics = batcher.statistics();
  CHECK(statistics.waiting == 0);
  CHECK(statistics.cancelled == static_cast<uint64_t>(cancelled));
}

void limits(const zoo::Generator& generator) {
  Batcher batcher(generator, {/*images=*/64, /*delay=*/0.2, /*queue=*/4});
  Call first(generator, 3), second(generator, 2), late(generator, 1);
  batcher.sample(first.request, first.images.data(), first.done());
  THROWS(batcher.sample(second.request, second.images.data(), second.done()), zoo::BusyError,
         "3 images wait, at most 4");
  batcher.sample(late.request, late.images.data(), late.done(), Batcher::Clock::now());
  THROWS(late.wait(), zoo::DeadlineError, "deadline");
  first.wait();
  CHECK(first.images == alone(generator, first));

  Call bad(generator, 1);
  bad.request.truncation = 0.5f;
  THROWS(batcher.sample(bad.request, bad.images.data(), bad.done()), zoo::ArgumentError,
         "truncation");
  THROWS(Batcher(generator, {0, 0.0, 1}), zoo::ArgumentError, "images");
  THROWS(Batcher(generator, {1, -1.0, 1}), zoo::ArgumentError, "delay");
  THROWS(Batcher(generator, {1, 0.0, 0}), zoo::ArgumentError, "queue");
  CHECK(bad.times == 0 && second.times == 0);
}

void closing(const zoo::Generator& generator) {
  for (const bool finish : {true, false}) {
    std::vector<std::unique_ptr<Call>> calls;
    Batcher batcher(generator, {/*images=*/4, /*delay=*/0.0, /*queue=*/100000});
    for (uint64_t i = 0; i < 50; ++i) {
      calls.push_back(std::make_unique<Call>(generator, 3));
      calls.back()->request.seed = i;
      batcher.sample(calls.back()->request, calls.back()->images.data(), calls.back()->done());
    }
    batcher.close(finish);
    int failed = 0;
    for (const auto& call : calls) {
      CHECK(call->times == 1);
      try {
        call->wait();
        CHECK(call->images == alone(generator, *call));
      } catch (const zoo::CancelledError&) {
        ++failed;
      }
    }
    CHECK((failed > 0) != finish);
    Call other(generator, 1);
    THROWS(batcher.sample(other.request, other.images.data(), other.done()), zoo::ClosedError,
           "closed");
  }
}

// A child has no threads of the batcher: it is told so, and can end.
void a_forked_child(const zoo::Generator& generator) {
  const auto batcher = std::make_unique<Batcher>(generator);
  const pid_t child = fork();
  if (child == 0) {
    Call call(generator, 1);
    bool refused = false;
    try {
      batcher->sample(call.request, call.images.data(), call.done());
    } catch (const zoo::ClosedError&) {
      refused = true;
    }
    _exit(refused ? 0 : 1);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

}  // namespace

int main(int argc, char** argv) {
  return zoo::test::run_with_engine(argc, argv,
                                    [](const std::string& path, const zoo::Options& options) {
                                      const zoo::Generator generator(path, options);
                                      threads_get_their_own_images(generator);
                                      limits(generator);
                                      closing(generator);
                                      a_forked_child(generator);
                                    });
}
