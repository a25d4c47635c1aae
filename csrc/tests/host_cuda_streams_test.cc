// Order, graphs and captures of the emulated CUDA devices.

#include <atomic>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "ops/reparametrized_sample.h"
#include "tests/check.h"
#include "tests/host_cuda.h"
#include "tests/host_cuda_owners.h"

namespace {

using zoo::Real;
using zoo::test::Block;
using zoo::test::good;
using zoo::test::ops;
using zoo::test::Stream;
using zoo::test::told;

void call(void* data) { (*static_cast<std::function<void()>*>(data))(); }

bool enqueue(void* stream, std::function<void()>* work) {
  return host_cuda_enqueue(stream, call, work) == 0;
}

void order() {
  std::vector<int> done;
  std::vector<std::function<void()>> work;
  for (int i = 0; i < 6; ++i) work.emplace_back([&done, i] { done.push_back(i); });
  const Stream one, two;
  CHECK(enqueue(one.handle, &work[0]) && enqueue(two.handle, &work[1]));
  CHECK(enqueue(one.handle, &work[2]) && enqueue(nullptr, &work[3]));
  CHECK(done.empty());
  CHECK(good(two.wait()) && done == std::vector<int>{1});
  CHECK(good(one.wait()) && (done == std::vector<int>{1, 0, 2}));
  CHECK(enqueue(one.handle, &work[4]));
  {
    const Stream three;
    CHECK(enqueue(three.handle, &work[5]));
  }
  CHECK((done == std::vector<int>{1, 0, 2, 5}));
  CHECK(good(ops().synchronize(nullptr)));
  CHECK((done == std::vector<int>{1, 0, 2, 5, 3, 4}));
  // Work that waits for itself.
  const char* said = nullptr;
  std::function<void()> waits = [&] { said = one.wait(); };
  CHECK(enqueue(one.handle, &waits) && good(one.wait()));
  CHECK(told(said, "cudaErrorNotPermitted"));
  // Work that fails, and what comes after it.
  host_cuda_break("nobody's");
  CHECK(good(one.wait()));
  std::function<void()> breaks = [] { host_cuda_break("cudaErrorLaunchFailure: it broke"); };
  CHECK(enqueue(one.handle, &breaks) && enqueue(one.handle, &work[0]));
  CHECK(told(one.wait(), "it broke") && done.size() == 6);
  CHECK(told(one.wait(), "it broke") && !enqueue(one.handle, &work[0]));
  CHECK(good(two.wait()));
}

void copies() {
  host_cuda_reset();
  Block<int> from(2, false), to(2, false);
  const Block<int> there(2);
  const Stream stream;
  from.set({1, 2});
  to.set({0, 0});
  CHECK(good(ops().copy(there.data, from.data, 8, stream.handle)));
  CHECK(good(ops().copy(there.data, there.data + 1, 4, stream.handle)));
  CHECK(good(ops().copy(to.data, there.data, 8, stream.handle)));
  // Too early: it is read when it is copied.
  from.set({3, 4});
  CHECK(to.get() == std::vector<int>(2) && host_cuda_counter("copies_up") == 0);
  CHECK(good(stream.wait()));
  CHECK((to.get() == std::vector<int>{4, 4}));
  CHECK(host_cuda_counter("copies_up") == 1 && host_cuda_counter("bytes_up") == 8);
  CHECK(host_cuda_counter("copies_down") == 1 && host_cuda_counter("bytes_down") == 8);
}

// Seed and first sample are in device memory, and change from replay to replay.
void replays() {
  const size_t rows = 3, width = 5, count = rows * width;
  host_cuda_reset();
  Block<uint64_t> key_here(2, false);
  const Block<uint64_t> key(2);
  const Block<float> h(count), result(count, false);
  const Stream stream;
  void* graph = nullptr;
  CHECK(good(ops().begin_capture(stream.handle)));
  CHECK(good(ops().reparametrized_sample(nullptr, nullptr, key.data, key.data + 1, 7, rows, width,
                                         Real::kFloat32, h.data, stream.handle)));
  CHECK(good(ops().advance(key.data + 1, rows, stream.handle)));
  CHECK(good(ops().copy(result.data, h.data, count * 4, stream.handle)));
  CHECK(good(ops().end_capture(stream.handle, &graph)));
  CHECK(good(stream.wait()) && host_cuda_counter("samples") == 0);
  CHECK(host_cuda_counter("captures") == 1 && host_cuda_counter("graphs") == 1);

  uint64_t replayed = 0;
  for (const uint64_t seed : {11, 12}) {
    uint64_t first = 100 * seed;
    key_here.set({seed, first});
    CHECK(good(ops().copy(key.data, key_here.data, 16, stream.handle)));
    for (int i = 0; i < 3; ++i, first += rows, ++replayed) {
      CHECK(good(ops().launch(graph, stream.handle)));
      CHECK(host_cuda_counter("samples") == replayed);
      CHECK(good(stream.wait()));
      std::vector<float> expected(count);
      zoo::fill_normal({seed, first, 7}, rows, width, expected.data());
      CHECK(result.get() == expected);
    }
  }
  CHECK(host_cuda_counter("launches") == 6 && host_cuda_counter("copies_down") == 6);
  // Its last launch goes on without it.
  CHECK(good(ops().launch(graph, stream.handle)) && good(ops().destroy_graph(graph)));
  CHECK(good(stream.wait()) && host_cuda_counter("samples") == 7);
  CHECK(host_cuda_counter("graphs") == 0);
  CHECK(told(ops().launch(graph, stream.handle), "cudaErrorInvalidResourceHandle"));
  CHECK(told(ops().destroy_graph(graph), "cudaErrorInvalidResourceHandle"));
}

void bad_handles() {
  void* gone = nullptr;
  {
    const Stream stream;
    gone = stream.handle;
    CHECK(host_cuda_counter("streams") == 1);
  }
  CHECK(host_cuda_counter("streams") == 0);
  const Block<uint64_t> memory(1);
  void* graph = nullptr;
  const char* part = "cudaErrorInvalidResourceHandle";
  CHECK(told(ops().advance(memory.data, 1, gone), part));
  CHECK(told(ops().synchronize(gone), part));
  CHECK(told(ops().begin_capture(gone), part));
  CHECK(told(ops().end_capture(gone, &graph), part) && !graph);
  CHECK(told(ops().destroy_stream(gone), part));
  CHECK(told(ops().destroy_stream(nullptr), part));
  std::function<void()> nothing = [] {};
  CHECK(!enqueue(gone, &nothing) && told(host_cuda_error(), part));
}

// Memory stays for what was put into a stream before its release, and is gone for a graph.
void released() {
  const Stream stream;
  Block<int> pinned(1, false);
  pinned.set({0});
  void* graph = nullptr;
  const int* gone = nullptr;
  bool seen = false;
  std::function<void()> look = [&] { seen = host_cuda_is_device(gone, 4) == 1; };
  {
    Block<int> memory(1);
    memory.set({5});
    gone = memory.data;
    CHECK(good(ops().begin_capture(stream.handle)));
    CHECK(good(ops().copy(pinned.data, memory.data, 4, stream.handle)));
    CHECK(good(ops().end_capture(stream.handle, &graph)));
    CHECK(good(ops().copy(pinned.data, memory.data, 4, stream.handle)));
    CHECK(enqueue(stream.handle, &look));
  }
  CHECK(host_cuda_is_device(gone, 4) == 0);
  CHECK(host_cuda_counter("device_bytes") == 0);
  CHECK(good(stream.wait()) && pinned.data[0] == 5 && seen);
  pinned.data[0] = 0;
  CHECK(good(ops().launch(graph, stream.handle)));
  CHECK(told(stream.wait(), "cudaErrorIllegalAddress") && pinned.data[0] == 0);
  CHECK(told(stream.wait(), "cudaErrorIllegalAddress"));
  CHECK(told(ops().copy(pinned.data, pinned.data, 4, stream.handle), "cudaErrorIllegalAddress"));
  CHECK(good(ops().destroy_graph(graph)));
}

// What must not be done under capture, and fails it.
void captures() {
  const Block<uint64_t> memory(1);
  void* made = nullptr;
  bool exhausted = false;
  const Stream stream, other;
  void* graph = nullptr;
  CHECK(good(ops().begin_capture(stream.handle)));
  CHECK(good(ops().end_capture(stream.handle, &graph)));
  const std::vector<std::function<const char*()>> forbidden{
      [&] { return stream.wait(); },
      [&] { return other.wait(); },
      [&] { return ops().synchronize(nullptr); },
      [&] { return ops().allocate(8, &made, &exhausted); },
      [&] { return ops().allocate_pinned(8, &made); },
      [&] { return ops().release(memory.data); },
      [&] { return ops().launch(graph, stream.handle); },
  };
  for (const auto& refused : forbidden) {
    void* none = nullptr;
    CHECK(good(ops().begin_capture(stream.handle)));
    CHECK(told(refused(), "cudaErrorStreamCaptureUnsupported"));
    CHECK(told(ops().advance(memory.data, 1, stream.handle), "CaptureInvalidated"));
    CHECK(told(ops().end_capture(stream.handle, &none), "CaptureInvalidated") && !none);
    CHECK(good(stream.wait()));
  }
  CHECK(!made && !exhausted);
  CHECK(told(ops().begin_capture(nullptr), "cudaErrorStreamCaptureUnsupported"));
  CHECK(told(ops().end_capture(stream.handle, &made), "cudaErrorIllegalState"));

  // Other threads may do all that, but to the stream.
  CHECK(good(ops().begin_capture(stream.handle)));
  CHECK(told(ops().begin_capture(stream.handle), "cudaErrorIllegalState"));
  CHECK(told(ops().destroy_stream(stream.handle), "cudaErrorStreamCaptureUnsupported"));
  std::thread([&] {
    const Block<int> allowed(1);
    CHECK(good(other.wait()) && good(ops().synchronize(nullptr)));
    void* none = nullptr;
    CHECK(told(ops().end_capture(stream.handle, &none), "cudaErrorStreamCaptureWrongThread"));
  }).join();
  void* kept = nullptr;
  CHECK(good(ops().end_capture(stream.handle, &kept)));
  CHECK(good(ops().destroy_graph(kept)) && good(ops().destroy_graph(graph)));
}

// Draws into new memory and compares, round after round; how many were right. No CHECK: it counts
// for one thread only.
size_t draw(uint64_t seed, size_t rounds) {
  const size_t rows = 4, width = 100, bytes = rows * width * sizeof(float);
  void *stream = nullptr, *key = nullptr, *there = nullptr, *result = nullptr;
  bool exhausted = false;
  if (ops().make_stream(&stream) || ops().allocate_pinned(16, &key) ||
      ops().allocate(16, &there, &exhausted) || ops().allocate_pinned(bytes, &result)) {
    return 0;
  }
  size_t right = 0;
  for (uint64_t i = 0; i < rounds; ++i) {
    void* h = nullptr;
    const uint64_t numbers[] = {seed, i};
    std::memcpy(key, numbers, sizeof numbers);
    auto* const device_key = static_cast<const uint64_t*>(there);
    if (ops().allocate(bytes, &h, &exhausted) || ops().copy(there, key, 16, stream) ||
        ops().reparametrized_sample(nullptr, nullptr, device_key, device_key + 1, 0, rows, width,
                                    Real::kFloat32, h, stream) ||
        ops().copy(result, h, bytes, stream) || ops().release(h) || ops().synchronize(stream)) {
      continue;
    }
    std::vector<float> expected(rows * width);
    zoo::fill_normal({seed, i, 0}, rows, width, expected.data());
    right += std::memcmp(result, expected.data(), bytes) == 0;
  }
  const bool freed = !ops().release_pinned(key) && !ops().release(there) &&
                     !ops().release_pinned(result) && !ops().destroy_stream(stream);
  return freed ? right : 0;
}

// Each thread on a stream of its own, and one that waits for all of them.
void threads() {
  const size_t rounds = 50;
  std::atomic<bool> stop{false};
  std::atomic<size_t> failed{0}, right{0};
  std::thread waits([&] {
    while (!stop) failed += ops().synchronize(nullptr) != nullptr;
  });
  std::vector<std::thread> running;
  for (uint64_t seed = 0; seed < 3; ++seed) {
    running.emplace_back([&, seed] { right += draw(seed, rounds); });
  }
  for (std::thread& thread : running) thread.join();
  stop = true;
  waits.join();
  CHECK(right == 3 * rounds && failed == 0);
}

}  // namespace

int main() {
  order();
  copies();
  replays();
  bad_handles();
  released();
  captures();
  threads();
  for (const char* live : {"device_bytes", "pinned_bytes", "streams", "graphs"}) {
    CHECK(host_cuda_counter(live) == 0);
  }
  return zoo::test::report();
}
