// The instance pool under contention, with errors and cancellation.

#include <atomic>
#include <chrono>
#include <stdexcept>

#include "core/instance_pool.h"
#include "tests/check.h"
#include "zoo/errors.h"

namespace {

using zoo::InstancePool;
using zoo::Job;

void every_chunk_once() {
  InstancePool pool(4);
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&pool, &wrong] {
      for (size_t chunks = 1; chunks < 60; ++chunks) {
        std::vector<std::atomic<int>> seen(chunks);
        pool.run(std::make_shared<Job>(chunks, [&seen](size_t, size_t chunk) { ++seen[chunk]; }),
                 {});
        for (const auto& count : seen) {
          if (count != 1) ++wrong;
        }
      }
    });
  }
  for (auto& caller : callers) caller.join();
  CHECK(wrong == 0);
}

void an_instance_has_one_user() {
  InstancePool pool(3);
  std::vector<std::atomic<int>> users(3);
  std::atomic<int> clashes{0};
  const auto work = [&](size_t instance, size_t) {
    if (++users[instance] != 1) ++clashes;
    std::this_thread::yield();
    --users[instance];
  };
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int i = 0; i < 200; ++i) pool.run(std::make_shared<Job>(i % 5 + 1, work), {});
    });
  }
  for (auto& caller : callers) caller.join();
  CHECK(clashes == 0);
}

void first_error_comes_out() {
  InstancePool pool(2);
  for (const size_t chunks : {1u, 50u}) {
    const auto job = std::make_shared<Job>(
        chunks, [](size_t, size_t) { throw zoo::ExecutionError("the graph failed"); });
    THROWS(pool.run(job, {}), zoo::ExecutionError, "the graph failed");
  }
  std::atomic<int> done{0};
  pool.run(std::make_shared<Job>(3, [&done](size_t, size_t) { ++done; }), {});
  CHECK(done == 3);
}

void cancellation_drops_the_rest() {
  InstancePool pool(2);
  std::atomic<int> begun{0};
  const auto job = std::make_shared<Job>(1000, [&begun](size_t, size_t) {
    ++begun;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  });
  THROWS(pool.run(job, [] { return true; }), zoo::CancelledError, "cancelled");
  CHECK(begun > 0 && begun < 1000);
}

void destruction_drops_the_queue() {
  std::atomic<int> begun{0};
  {
    InstancePool pool(1);
    pool.submit(std::make_shared<Job>(1000, [&begun](size_t, size_t) {
      ++begun;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  CHECK(begun < 1000);
}

}  // namespace

int main() {
  every_chunk_once();
  an_instance_has_one_user();
  first_error_comes_out();
  cancellation_drops_the_rest();
  destruction_drops_the_queue();
  return zoo::test::report();
}
