// The instance pool under contention, with errors, cancellation and at exit.

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
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

void the_caller_works_too() {
  InstancePool pool(2);
  const auto caller = std::this_thread::get_id();
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> begun{0}, mine{0};
    const auto work = [&](size_t, size_t) {
      mine += std::this_thread::get_id() == caller;
      // Both chunks run at the same time, or this never ends.
      for (++begun; begun < 2;) std::this_thread::yield();
    };
    pool.run(std::make_shared<Job>(2, work), {});
    CHECK(mine == 1);
    // The workers spin, or sleep.
    if (round % 2 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void several_callers_find_all_instances() {
  InstancePool pool(3);
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> begun{0};
    const auto work = [&](size_t, size_t) {
      for (++begun; begun < 3;) std::this_thread::yield();
    };
    const std::vector<std::shared_ptr<Job>> jobs = {std::make_shared<Job>(1, work),
                                                    std::make_shared<Job>(1, work)};
    for (const auto& job : jobs) pool.submit(job);
    pool.run(std::make_shared<Job>(1, work), {});
    for (const auto& job : jobs) CHECK(pool.join(job, {}));
  }
}

void idle_instances_help() {
  InstancePool pool(3, /*cores=*/3);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::atomic<int>> calls(3);
    std::atomic<int> begun{0};
    const auto work = [&](size_t, size_t chunk) {
      ++calls[chunk];
      for (++begun; begun < 3;) std::this_thread::yield();
    };
    pool.run(std::make_shared<Job>(1, work, 2), {});
    for (const auto& count : calls) CHECK(count == 1);
  }
  // Nobody helps without an instance or a core, or with a job that waits for its turn.
  std::atomic<int> helpers{0};
  const auto work = [&](size_t, size_t chunk) { helpers += chunk != 0; };
  InstancePool alone(1, /*cores=*/3);
  InstancePool slow(3, /*cores=*/1);
  for (InstancePool* other : {&alone, &slow}) other->run(std::make_shared<Job>(1, work, 2), {});
  const auto job = std::make_shared<Job>(1, work, 2);
  pool.submit(job);
  CHECK(pool.join(job, {}) && helpers == 0);
  // An error of the first chunk comes out, as does one of a helper.
  for (const size_t bad : {0u, 1u}) {
    std::atomic<int> ready{0};
    const auto fails = [&](size_t, size_t chunk) {
      for (++ready; ready < 2;) std::this_thread::yield();
      if (chunk == bad) throw zoo::ExecutionError("the graph failed");
    };
    THROWS(pool.run(std::make_shared<Job>(1, fails, 1), {}), zoo::ExecutionError, "failed");
  }
}

void who_waits_for_the_next_job_works() {
  // Where the workers leave it a core, the caller only waits.
  InstancePool pool(2, /*cores=*/2);
  InstancePool roomy(2, /*cores=*/4);
  const auto caller = std::this_thread::get_id();
  for (InstancePool* each : {&pool, &roomy}) {
    std::atomic<int> mine{0};
    std::vector<std::shared_ptr<Job>> jobs;
    for (int i = 0; i < 40; ++i) {
      const auto pair = std::make_shared<std::atomic<int>>(0);
      const auto work = [&mine, caller, pair](size_t, size_t) {
        mine += std::this_thread::get_id() == caller;
        for (++*pair; *pair < 2;) std::this_thread::yield();
      };
      for (int twin = 0; twin < 2; ++twin) jobs.push_back(std::make_shared<Job>(1, work));
    }
    for (size_t i = 0; i < jobs.size(); i += 2) {
      for (size_t twin = i; twin < i + 2; ++twin) each->submit(jobs[twin]);
      for (size_t twin = i; twin < i + 2; ++twin) {
        CHECK(each->join_next(jobs[twin], {}, /*soon=*/true));
      }
    }
    CHECK((mine > 0) == (each == &pool));
  }
}

// A caller that is expected but does not come back keeps an instance for a moment only, whether the
// work is there when it leaves or comes later, and whether the workers sleep by then.
void who_does_not_come_back_keeps_no_instance() {
  InstancePool two(2, /*cores=*/2);
  InstancePool one(1, /*cores=*/1);
  for (int i = 0; i < 60; ++i) {
    const auto pause = std::chrono::microseconds(i % 3 * 100);
    for (InstancePool* pool : {&two, &one}) {
      const size_t chunks = pool->instances();
      std::atomic<size_t> begun{0};
      const auto job = std::make_shared<Job>(chunks, [&begun, chunks](size_t, size_t) {
        for (++begun; begun < chunks;) std::this_thread::yield();
      });
      const auto last = std::make_shared<Job>(1, [](size_t, size_t) {});
      pool->submit(last);
      if (i % 2 == 0) pool->submit(job);
      CHECK(pool->join_next(last, {}, /*soon=*/i % 5 != 0));
      std::this_thread::sleep_for(pause);
      if (i % 2 == 1) pool->submit(job);
      const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
      while (begun < chunks && std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      CHECK(begun == chunks);
      begun = chunks;  // so that the pool can end
      CHECK(pool->join(job, {}));
    }
  }
}

void who_waits_is_asked_for_cancellation_and_gets_its_own_errors() {
  InstancePool pool(1, /*cores=*/1);
  std::atomic<bool> go{false};
  const auto slow = [&go](size_t, size_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(go ? 0 : 10));
  };
  const auto ahead = std::make_shared<Job>(1000, slow);
  const auto bad = std::make_shared<Job>(
      1, [](size_t, size_t) { throw zoo::ExecutionError("the graph failed"); });
  const auto good = std::make_shared<Job>(1, [](size_t, size_t) {});
  for (const auto& job : {ahead, bad, good}) pool.submit(job);
  CHECK(!pool.join_next(ahead, [] { return true; }, /*soon=*/true));
  go = true;
  CHECK(pool.join_next(good, {}, /*soon=*/false));
  THROWS(pool.join_next(bad, {}, /*soon=*/false), zoo::ExecutionError, "failed");
  CHECK(pool.join_next(ahead, {}, /*soon=*/false));
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

// Output of a job, in which writes after the end of the call are seen.
struct Memory {
  std::vector<std::atomic<int>> writes = std::vector<std::atomic<int>>(1000);

  std::shared_ptr<Job> job() {
    return std::make_shared<Job>(writes.size(), [this](size_t, size_t chunk) {
      ++writes[chunk];
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    });
  }
  int sum() const { return std::accumulate(writes.begin(), writes.end(), 0); }
};

void a_throwing_cancel_ends_the_job() {
  InstancePool pool(2);
  Memory memory;
  const zoo::Cancel fails = []() -> bool { throw std::runtime_error("from the callback"); };
  THROWS(pool.run(memory.job(), fails), std::runtime_error, "from the callback");
  const int written = memory.sum();
  CHECK(written > 0 && written < 1000);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(memory.sum() == written);
  // It may throw anything, not only exceptions of the standard library.
  bool thrown = false;
  try {
    pool.run(memory.job(), []() -> bool { throw 7; });
  } catch (int) {
    thrown = true;
  }
  const int more = memory.sum();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(thrown && memory.sum() == more);
}

void a_cancelled_join_does_not_end_the_job() {
  InstancePool pool(2);
  std::atomic<int> done{0};
  const auto job = std::make_shared<Job>(60, [&done](size_t, size_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(4));
    ++done;
  });
  pool.submit(job);
  CHECK(!pool.join(job, [] { return true; }));
  THROWS(pool.join(job, []() -> bool { throw std::runtime_error("later"); }), std::runtime_error,
         "later");
  CHECK(pool.join(job, {}));
  CHECK(done == 60);
}

void an_abandoned_job_has_no_result() {
  InstancePool pool(1);
  Memory memory;
  const auto job = memory.job();
  pool.submit(job);
  pool.abandon(job);
  THROWS(pool.join(job, {}), zoo::CancelledError, "abandoned");
  THROWS(pool.wait(job, {}), zoo::CancelledError, "abandoned");
}

void threads_that_cannot_be_started() {
  pthread_attr_t usual;
  pthread_attr_t huge;
  CHECK(pthread_getattr_default_np(&usual) == 0);
  pthread_attr_init(&huge);
  // Larger than the address space.
  CHECK(pthread_attr_setstacksize(&huge, size_t{1} << 47) == 0);
  CHECK(pthread_setattr_default_np(&huge) == 0);
  THROWS(InstancePool(3), zoo::ExecutionError, "instances: only 0 of 3 threads could be started");
  CHECK(pthread_setattr_default_np(&usual) == 0);
  std::atomic<int> done{0};
  InstancePool pool(3);
  pool.run(std::make_shared<Job>(9, [&done](size_t, size_t) { ++done; }), {});
  CHECK(done == 9);
}

// As if this thread ended the process: it runs all work itself.
void exit_of_the_process() {
  InstancePool before(2);
  Memory memory;
  const auto ahead = memory.job();
  before.submit(ahead);
  InstancePool::stop_all();
  const int written = memory.sum();
  CHECK(written < 1000);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(memory.sum() == written);

  const auto caller = std::this_thread::get_id();
  std::atomic<int> mine{0};
  const auto work = [&](size_t, size_t) { mine += std::this_thread::get_id() == caller; };
  InstancePool after(2);
  for (InstancePool* pool : {&before, &after}) {
    for (const size_t chunks : {1u, 7u}) pool->run(std::make_shared<Job>(chunks, work), {});
  }
  CHECK(mine == 16);
  std::thread other(
      [&] { THROWS(before.run(std::make_shared<Job>(3, work), {}), zoo::ClosedError, "exiting"); });
  other.join();
  CHECK(mine == 16);
  before.abandon(ahead);
  InstancePool::stop_all();
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
  the_caller_works_too();
  several_callers_find_all_instances();
  idle_instances_help();
  who_waits_for_the_next_job_works();
  who_does_not_come_back_keeps_no_instance();
  who_waits_is_asked_for_cancellation_and_gets_its_own_errors();
  first_error_comes_out();
  cancellation_drops_the_rest();
  a_throwing_cancel_ends_the_job();
  a_cancelled_join_does_not_end_the_job();
  an_abandoned_job_has_no_result();
  threads_that_cannot_be_started();
  destruction_drops_the_queue();
  exit_of_the_process();
  return zoo::test::report();
}
