#include "tests/host_cuda.h"

#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "tests/host_cuda_emulator.h"
#include "tests/host_cuda_kernels.h"
#include "zoo_interfaces.h"

namespace zoo {
namespace {

using host_cuda::current;
using host_cuda::Emulator;
using host_cuda::emulator;
using host_cuda::entry;
using host_cuda::extent;
using host_cuda::Extent;
using host_cuda::kPinned;
using host_cuda::Lock;

constexpr const char* kNoMemory = "cudaErrorMemoryAllocation: out of memory";
constexpr const char* kBadDevice = "cudaErrorInvalidDevice: invalid device ordinal";
constexpr const char* kBadValue = "cudaErrorInvalidValue: invalid argument";

void count(const char* name, uint64_t more) {
  const Lock lock(emulator().mutex);
  emulator().counts[name] += more;
}

const char* enqueue(const char* name, void* stream, std::vector<Extent> extents,
                    std::function<void()> run) {
  if (host_cuda::working) extents.clear();
  return entry(name, [&](Lock*) {
    return emulator().streams.enqueue(stream, current, {std::move(run), std::move(extents)});
  });
}

const char* device_count(int* count) {
  *count = 0;
  return entry("device_count", [&](Lock*) {
    if (host_cuda::setting("HOST_CUDA_DRIVER", host_cuda::kVersion) < host_cuda::kVersion) {
      return "cudaErrorInsufficientDriver: CUDA driver version is insufficient";
    }
    *count = emulator().devices;
    return "";
  });
}

const char* device(int index, CudaDevice* device) {
  return entry("device", [&](Lock*) {
    if (index < 0 || index >= emulator().devices) return kBadDevice;
    const auto capability = static_cast<int32_t>(host_cuda::setting("HOST_CUDA_CAPABILITY", 90));
    *device = {"emulated", capability / 10, capability % 10, 8, emulator().memory.total()};
    return "";
  });
}

const char* versions(int* driver, int* runtime) {
  *driver = *runtime = 0;
  return entry("versions", [&](Lock*) {
    *driver = static_cast<int>(host_cuda::setting("HOST_CUDA_DRIVER", host_cuda::kVersion));
    *runtime = host_cuda::kVersion;
    return "";
  });
}

const char* set_device(int index) {
  return entry("set_device", [&](Lock*) {
    if (index < 0 || index >= emulator().devices) return kBadDevice;
    emulator().contexts.insert(index);
    current = index;
    return "";
  });
}

const char* enter_device(int index) {
  return entry("enter_device", [&](Lock*) {
    if (index < 0 || index >= emulator().devices) return kBadDevice;
    emulator().contexts.insert(index);
    host_cuda::entered.push_back(std::exchange(current, index));
    return "";
  });
}

const char* leave_device() {
  return entry("leave_device", [&](Lock*) {
    if (host_cuda::entered.empty()) return "CUDA_ERROR_INVALID_CONTEXT";
    current = host_cuda::entered.back();
    host_cuda::entered.pop_back();
    return "";
  });
}

const char* device_of(const void* memory, int* index) {
  return entry("device_of", [&](Lock*) {
    *index = emulator().memory.device_of(memory, 1);
    return "";
  });
}

template <typename Out>
const char* sample_as(const SampleArguments<Out>& arguments, void* stream) {
  const size_t keys = arguments.keys.per_row ? arguments.rows : 1;
  std::vector<Extent> extents{extent(arguments.keys.seed, keys), extent(arguments.keys.first, keys),
                              extent(arguments.h, arguments.rows, arguments.width)};
  if (arguments.mu) extents.push_back(extent(arguments.mu, arguments.rows, arguments.width));
  if (arguments.logvar)
    extents.push_back(extent(arguments.logvar, arguments.rows, arguments.width));
  return enqueue("reparametrized_sample", stream, std::move(extents), [arguments] {
    host_cuda::draw(arguments);
    count("samples", 1);
  });
}

const char* sample(const float* mu, const float* logvar, const NoiseKeys& keys, size_t rows,
                   size_t width, Real real, void* h, void* stream) {
  if (rows == 0 || width == 0) return nullptr;
  return host_cuda::with_type(real, h, [&](auto* out) {
    using Out = std::remove_pointer_t<decltype(out)>;
    return sample_as<Out>({mu, logvar, keys, rows, width, out}, stream);
  });
}

const char* advance(uint64_t* first, uint64_t samples, void* stream) {
  return enqueue("advance", stream, {extent(first, 1)}, [=] { *first += samples; });
}

const char* interpolate(const float* a, const float* b, const float* t, Interpolation mode,
                        size_t rows, size_t steps, size_t width, Real real, void* h, void* stream) {
  if (rows == 0 || steps == 0 || width == 0) return nullptr;
  return host_cuda::with_type(real, h, [&](auto* out) {
    return enqueue("batched_interpolate", stream,
                   {extent(a, rows, width), extent(b, rows, width), extent(t, steps),
                    extent(out, rows, steps, width)},
                   [=] { host_cuda::interpolate(a, b, t, mode, rows, steps, width, out); });
  });
}

const char* levels(const float* images, size_t rows, size_t channels, size_t pixels,
                   uint8_t* levels, void* stream) {
  if (rows == 0 || channels == 0 || pixels == 0) return nullptr;
  const LevelArguments arguments{images, rows, channels, pixels, levels};
  return enqueue("image_levels", stream,
                 {extent(images, rows, channels, pixels), extent(levels, rows, channels, pixels)},
                 [arguments] { host_cuda::to_levels(arguments); });
}

const char* memory(uint64_t* free, uint64_t* total) {
  return entry("memory", [&](Lock*) {
    *total = emulator().memory.total();
    *free = *total - emulator().memory.live(current);
    return "";
  });
}

// Like CUDA, succeeds without allocating for zero bytes.
const char* allocate_as(const char* name, int device, size_t bytes, void** memory) {
  *memory = nullptr;
  return entry(name, [&](Lock*) {
    if (emulator().streams.refused_by_capture()) return host_cuda::kCapturing;
    if (bytes == 0) return "";
    *memory = emulator().memory.allocate(device, bytes);
    return *memory ? "" : kNoMemory;
  });
}

const char* release_as(const char* name, bool pinned, void* memory) {
  return entry(name, [&](Lock*) {
    if (emulator().streams.refused_by_capture()) return host_cuda::kCapturing;
    if (!memory) return "";
    if (!emulator().memory.release(memory, pinned)) return kBadValue;
    emulator().streams.sweep();
    return "";
  });
}

const char* allocate(size_t bytes, void** memory, bool* exhausted) {
  const char* failure = allocate_as("allocate", current, bytes, memory);
  *exhausted = failure && std::strstr(failure, "cudaErrorMemoryAllocation");
  return failure;
}

const char* allocate_pinned(size_t bytes, void** memory) {
  return allocate_as("allocate_pinned", kPinned, bytes, memory);
}

const char* release(void* memory) { return release_as("release", false, memory); }
const char* release_pinned(void* memory) { return release_as("release_pinned", true, memory); }

const char* copy(void* to, const void* from, size_t bytes, void* stream) {
  if (bytes == 0) return nullptr;
  const bool to_device = host_cuda_is_device(to, bytes) != 0;
  const bool from_device = host_cuda_is_device(from, bytes) != 0;
  return enqueue("copy", stream, {{to, bytes, 1, true}, {from, bytes, 1, true}}, [=] {
    std::memmove(to, from, bytes);
    if (to_device == from_device) return;
    count(to_device ? "copies_up" : "copies_down", 1);
    count(to_device ? "bytes_up" : "bytes_down", bytes);
  });
}

const char* make_stream(void** stream) {
  *stream = nullptr;
  return entry("make_stream", [&](Lock*) {
    *stream = emulator().streams.make(current);
    return "";
  });
}

const char* destroy_stream(void* stream) {
  return entry("destroy_stream",
               [&](Lock* lock) { return emulator().streams.destroy(lock, stream); });
}

const char* synchronize(void* stream) {
  return entry("synchronize",
               [&](Lock* lock) { return emulator().streams.synchronize(lock, stream); });
}

const char* begin_capture(void* stream) {
  return entry("begin_capture",
               [&](Lock*) { return emulator().streams.begin_capture(stream, current); });
}

const char* end_capture(void* stream, void** graph) {
  *graph = nullptr;
  const char* failure = entry("end_capture", [&](Lock*) {
    const std::string failed = emulator().streams.end_capture(stream, current, graph);
    if (failed.empty()) ++emulator().counts["captures"];
    return failed;
  });
  if (failure) {
    // An injected failure also ends the capture, like a failure to create the graph.
    const Lock lock(emulator().mutex);
    emulator().streams.abandon_capture(stream);
  }
  return failure;
}

const char* launch(void* graph, void* stream) {
  return entry("launch", [&](Lock*) {
    const std::string failed = emulator().streams.launch(graph, stream, current);
    if (failed.empty()) ++emulator().counts["launches"];
    return failed;
  });
}

const char* destroy_graph(void* graph) {
  return entry("destroy_graph", [&](Lock*) { return emulator().streams.destroy_graph(graph); });
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const CudaOps* zoo_cuda_ops(uint64_t interface) {
  static const CudaOps table{
      device_count, device,          versions,       enter_device, leave_device, device_of,
      sample,       advance,         interpolate,    levels,       memory,       allocate,
      release,      allocate_pinned, release_pinned, copy,         make_stream,  destroy_stream,
      synchronize,  begin_capture,   end_capture,    launch,       destroy_graph};
  return interface == kCudaInterface ? &table : nullptr;
}

}  // namespace zoo

int host_cuda_enqueue(void* stream, void (*call)(void*), void* data) {
  return zoo::enqueue("host_cuda_enqueue", stream, {}, [=] { call(data); }) ? -1 : 0;
}

void host_cuda_break(const char* message) {
  if (zoo::host_cuda::working) zoo::host_cuda::broken = message;
}

const char* host_cuda_error() { return zoo::host_cuda::message; }

int host_cuda_set_device(int device) { return zoo::set_device(device) ? -1 : 0; }

int host_cuda_current_device() { return zoo::host_cuda::current; }

int host_cuda_is_device(const void* memory, size_t bytes) {
  zoo::Emulator& all = zoo::emulator();
  const zoo::Lock lock(all.mutex);
  return all.memory.device_of(memory, bytes, zoo::host_cuda::working) >= 0;
}

uint64_t host_cuda_counter(const char* name) {
  zoo::Emulator& all = zoo::emulator();
  const zoo::Lock lock(all.mutex);
  const std::map<std::string, uint64_t> now{{"device_bytes", all.memory.device_bytes()},
                                            {"pinned_bytes", all.memory.pinned_bytes()},
                                            {"streams", all.streams.streams()},
                                            {"queued", all.streams.queued()},
                                            {"graphs", all.streams.graphs()},
                                            {"contexts", all.contexts.size()}};
  if (const auto value = now.find(name); value != now.end()) return value->second;
  return all.counts[name];
}

void host_cuda_reset() {
  zoo::Emulator& all = zoo::emulator();
  const zoo::Lock lock(all.mutex);
  all.counts.clear();
}

void host_cuda_fail(const char* function, int times, const char* message) {
  zoo::Emulator& all = zoo::emulator();
  const zoo::Lock lock(all.mutex);
  all.failures[function] = {times, message};
}
