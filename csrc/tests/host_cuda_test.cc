// The emulated CUDA devices that other tests stand on.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "ops/half_float.h"
#include "ops/image_levels.h"
#include "ops/reparametrized_sample.h"
#include "tests/check.h"
#include "tests/host_cuda.h"
#include "tests/host_cuda_owners.h"

namespace {

using zoo::BFloat16;
using zoo::Float16;
using zoo::Real;
using zoo::test::Block;
using zoo::test::good;
using zoo::test::ops;
using zoo::test::Stream;
using zoo::test::told;

constexpr uint64_t kTotal = 1 << 20;

template <typename T>
bool same(const T* data, const std::vector<T>& expected) {
  return std::memcmp(data, expected.data(), expected.size() * sizeof(T)) == 0;
}

bool untouched(const void* data, size_t bytes) {
  const auto* at = static_cast<const uint8_t*>(data);
  return std::all_of(at, at + bytes, [](uint8_t byte) { return byte == 0xff; });
}

std::vector<float> wave(size_t count, float scale) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = scale * std::sin(static_cast<float>(i + 1));
  return values;
}

template <typename Out>
std::vector<Out> rounded(const std::vector<float>& values) {
  std::vector<Out> made;
  for (const float value : values) made.push_back(zoo::from_float<Out>(value));
  return made;
}

void devices() {
  CHECK(zoo::zoo_cuda_ops(zoo::kCudaInterface + 1) == nullptr);
  int count = 0;
  CHECK(good(ops().device_count(&count)) && count == 2);
  zoo::CudaDevice device{};
  CHECK(good(ops().device(1, &device)) && device.memory == kTotal && device.major == 9);
  CHECK(std::string(device.name) == "emulated" && device.multiprocessors > 0);
  CHECK(told(ops().device(2, &device), "cudaErrorInvalidDevice"));
  CHECK(host_cuda_set_device(-1) != 0 && told(host_cuda_error(), "cudaErrorInvalidDevice"));

  CHECK(host_cuda_set_device(1) == 0);
  int before = -1;
  {
    const Block<float> there(4);
    CHECK(host_cuda_set_device(0) == 0);
    // Each thread has its own.
    std::thread([&] {
      CHECK(told(ops().leave_device(), "CUDA_ERROR_INVALID_CONTEXT"));
      CHECK(good(ops().enter_device(1)) && host_cuda_current_device() == 1);
    }).join();
    CHECK(host_cuda_current_device() == 0);
    // They are left in the order of a stack, whatever was set meanwhile.
    CHECK(good(ops().enter_device(1)) && good(ops().enter_device(0)));
    CHECK(host_cuda_set_device(1) == 0);
    CHECK(good(ops().leave_device()) && host_cuda_current_device() == 1);
    CHECK(good(ops().leave_device()) && host_cuda_current_device() == 0);
    CHECK(told(ops().enter_device(2), "cudaErrorInvalidDevice"));
    CHECK(host_cuda_set_device(1) == 0);
    CHECK(good(ops().device_of(there.data + 3, &before)) && before == 1);
    CHECK(good(ops().device_of(&before, &before)) && before == -1);
    CHECK(host_cuda_set_device(0) == 0);
    // Neither its memory nor its streams are the other device's.
    const Stream stream;
    CHECK(told(ops().image_levels(there.data, 1, 1, 1, nullptr, stream.handle), "IllegalAddress"));
    CHECK(host_cuda_set_device(1) == 0);
    CHECK(told(ops().copy(there.data, there.data + 2, 8, stream.handle), "InvalidResource"));
    CHECK(good(stream.wait()));
    CHECK(host_cuda_set_device(0) == 0);
  }
}

template <typename Out>
void sample_case(Real real, size_t rows, size_t width, bool with_mu, bool with_logvar) {
  const size_t count = rows * width;
  const zoo::NoiseKey key{0x123456789abcdefull, (uint64_t{1} << 32) - 2, 3};
  const std::vector<float> mu = wave(count, 1), logvar = wave(count, 3), zeros(count);
  std::vector<float> expected(count);
  zoo::reparametrized_sample((with_mu ? mu : zeros).data(), (with_logvar ? logvar : zeros).data(),
                             key, rows, width, expected.data());
  if (!with_mu && !with_logvar) {
    std::vector<float> normals;
    for (size_t i = 0; i < count; ++i) {
      const auto element = static_cast<uint32_t>(i % width);
      normals.push_back(zoo::normal(key.seed, key.first + i / width, key.stream, element));
    }
    CHECK(expected == normals);
  }
  Block<float> given_mu(count), given_logvar(count);
  Block<uint64_t> given_key(2);
  const Block<Out> h(count);
  const Stream stream;
  CHECK(good(ops().reparametrized_sample(
      with_mu ? given_mu.data : nullptr, with_logvar ? given_logvar.data : nullptr, given_key.data,
      given_key.data + 1, key.stream, rows, width, real, h.data, stream.handle)));
  // It reads them when it runs.
  given_mu.set(mu);
  given_logvar.set(logvar);
  given_key.set({key.seed, key.first});
  CHECK(untouched(h.data, count * sizeof(Out)));
  CHECK(good(stream.wait()));
  CHECK(same(h.data, rounded<Out>(expected)));
}

template <typename Out>
void samples(Real real) {
  for (const size_t width : {1, 5, 8, 100}) {
    for (const size_t rows : {1, 7}) {
      for (const bool with_mu : {false, true}) {
        for (const bool with_logvar : {false, true}) {
          sample_case<Out>(real, rows, width, with_mu, with_logvar);
        }
      }
    }
  }
}

template <typename Out>
void paths(Real real) {
  const size_t rows = 3, steps = 4, width = 10;
  Block<float> a(rows * width), b(rows * width), t(steps);
  a.set(wave(a.size, 1));
  b.set(wave(b.size, -2));
  t.set({0.0f, 0.25f, 0.5f, 1.0f});
  for (const auto mode : {zoo::Interpolation::kLinear, zoo::Interpolation::kSpherical}) {
    std::vector<float> expected(rows * steps * width);
    zoo::batched_interpolate(a.data, b.data, t.data, mode, rows, steps, width, expected.data());
    const Block<Out> h(expected.size());
    CHECK(good(ops().batched_interpolate(a.data, b.data, t.data, mode, rows, steps, width, real,
                                         h.data, nullptr)));
    CHECK(good(ops().synchronize(nullptr)));
    CHECK(same(h.data, rounded<Out>(expected)));
  }
}

void levels() {
  const size_t rows = 2, channels = 3, pixels = 5;
  Block<float> images(rows * channels * pixels);
  images.set(wave(images.size, 1.2f));
  const Block<uint8_t> out(images.size);
  const Stream stream;
  CHECK(good(ops().image_levels(images.data, rows, channels, pixels, out.data, stream.handle)));
  CHECK(good(stream.wait()));
  for (size_t i = 0; i < images.size; ++i) {
    const size_t row = i / 15, channel = i / 5 % 3, pixel = i % 5;
    CHECK(out.data[(row * 5 + pixel) * 3 + channel] == zoo::image_level(images.data[i]));
  }
}

uint64_t free_bytes() {
  uint64_t free = 0, total = 0;
  CHECK(good(ops().memory(&free, &total)) && total == kTotal);
  return free;
}

void exhaustion() {
  void* made = nullptr;
  bool exhausted = false;
  CHECK(free_bytes() == kTotal);
  {
    const Block<char> half(kTotal / 2 + 1);
    CHECK(untouched(half.data, half.size));
    CHECK(free_bytes() == kTotal / 2 - 1);
    CHECK(host_cuda_counter("device_bytes") == kTotal / 2 + 1);
    CHECK(told(ops().allocate(kTotal / 2, &made, &exhausted), "cudaErrorMemoryAllocation"));
    CHECK(exhausted && !made);
    const Block<char> rest(kTotal / 2 - 1);
    CHECK(free_bytes() == 0);
    // The other device's memory, and pinned memory, are others.
    CHECK(host_cuda_set_device(1) == 0);
    CHECK(free_bytes() == kTotal);
    CHECK(host_cuda_set_device(0) == 0);
    const Block<char> pinned(kTotal, false);
    CHECK(host_cuda_counter("pinned_bytes") == kTotal);
  }
  CHECK(host_cuda_counter("device_bytes") == 0 && host_cuda_counter("pinned_bytes") == 0);
  CHECK(host_cuda_counter("peak_device_bytes") == kTotal);
  host_cuda_reset();
  CHECK(host_cuda_counter("peak_device_bytes") == 0);
  CHECK(host_cuda_counter("nothing") == UINT64_MAX);
  CHECK(good(ops().allocate(0, &made, &exhausted)) && !made && !exhausted);
  CHECK(good(ops().release(nullptr)) && good(ops().release_pinned(nullptr)));
}

void bad_pointers() {
  const Block<float> memory(8);
  const Block<float> pinned(8, false);
  float host[8] = {};
  const auto refused = [&](const float* from, size_t count, const char* part) {
    return told(
        ops().image_levels(from, 1, 1, count, reinterpret_cast<uint8_t*>(memory.data), nullptr),
        part);
  };
  CHECK(refused(host, 1, "cudaErrorIllegalAddress"));
  CHECK(refused(pinned.data, 1, "cudaErrorIllegalAddress"));
  CHECK(refused(nullptr, 1, "cudaErrorIllegalAddress"));
  CHECK(refused(memory.data, 9, "cudaErrorIllegalAddress"));
  CHECK(refused(memory.data + 8, 1, "cudaErrorIllegalAddress"));
  CHECK(refused(memory.data - 1, 1, "cudaErrorIllegalAddress"));
  CHECK(refused(memory.data, SIZE_MAX / 2, "cudaErrorIllegalAddress"));
  const auto* odd = reinterpret_cast<const float*>(reinterpret_cast<const char*>(memory.data) + 2);
  CHECK(refused(odd, 1, "cudaErrorMisalignedAddress"));
  CHECK(told(ops().copy(memory.data, host, 4, nullptr), "nor pinned"));
  CHECK(told(ops().copy(host, memory.data, 4, nullptr), "nor pinned"));
  CHECK(told(ops().copy(memory.data, pinned.data, 33, nullptr), "cudaErrorIllegalAddress"));
  CHECK(told(ops().release(host), "cudaErrorInvalidValue"));
  CHECK(told(ops().release(memory.data + 1), "cudaErrorInvalidValue"));
  CHECK(told(ops().release(pinned.data), "cudaErrorInvalidValue"));
  CHECK(told(ops().release_pinned(memory.data), "cudaErrorInvalidValue"));
  CHECK(host_cuda_is_device(memory.data + 4, 16) == 1);
  CHECK(host_cuda_is_device(memory.data + 4, 17) == 0);
  CHECK(host_cuda_is_device(pinned.data, 4) == 0);
}

void failures() {
  host_cuda_fail("copy", 2, "cudaErrorLaunchFailure: told to");
  Block<int> memory(2);
  for (int i = 0; i < 2; ++i) {
    CHECK(told(ops().copy(memory.data, memory.data + 1, 4, nullptr), "LaunchFailure: told to"));
  }
  CHECK(good(ops().copy(memory.data, memory.data + 1, 4, nullptr)));
  void* made = nullptr;
  bool exhausted = false;
  host_cuda_fail("allocate", 1, "cudaErrorMemoryAllocation: told to");
  CHECK(told(ops().allocate(4, &made, &exhausted), "allocate") && exhausted && !made);
  host_cuda_fail("allocate", 1, "cudaErrorUnknown");
  CHECK(told(ops().allocate(4, &made, &exhausted), "Unknown") && !exhausted);
  host_cuda_fail("end_capture", 1, "cudaErrorMemoryAllocation: no graph");
  const Stream stream;
  CHECK(good(ops().begin_capture(stream.handle)));
  CHECK(told(ops().end_capture(stream.handle, &made), "no graph") && !made);
  CHECK(good(stream.wait()));
  // Of the thread that it happened in.
  const char* here = ops().release(&exhausted);
  const std::string kept = here;
  std::thread([] { CHECK(told(ops().enter_device(9), "enter_device")); }).join();
  CHECK(kept == here);
}

}  // namespace

int main() {
  setenv("HOST_CUDA_DEVICES", "2", 1);
  setenv("HOST_CUDA_MEMORY", std::to_string(kTotal).c_str(), 1);
  devices();
  exhaustion();
  bad_pointers();
  samples<float>(Real::kFloat32);
  samples<Float16>(Real::kFloat16);
  samples<BFloat16>(Real::kBFloat16);
  paths<float>(Real::kFloat32);
  paths<Float16>(Real::kFloat16);
  levels();
  failures();
  return zoo::test::report();
}
