#include "core/engine.h"

#include <sched.h>

#include <algorithm>
#include <charconv>

#include "backends/cuda_memory.h"
#include "backends/onnxruntime/cuda_backend.h"
#include "backends/registry.h"
#include "backends/tensorrt/plan_backend.h"
#include "backends/tensors.h"
#include "core/engine_file.h"
#include "core/row_check.h"
#include "core/warnings.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

// Most rows of one run: beyond it a CPU gains no throughput and leaves its
// second-level cache (benchmarks/throughput.py).
constexpr size_t kRunRows = 16;

// Where small images go in, the graph may be so cheap (an encoder of dense layers) that
// starting a run costs more than these rows do; a convolutional one is as fast with either.
// Only for calls of many such runs: what is left over at the end is padded to a whole one.
constexpr size_t kWideRunRows = 64;
constexpr size_t kWideImageBytes = 4096;
constexpr size_t kWideRuns = 4;  // an instance

size_t available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    return static_cast<size_t>(std::max(1, CPU_COUNT(&set)));
  }
  return std::max<size_t>(1, std::thread::hardware_concurrency());
}

// Instances on a GPU: the copies of one overlap the computing of the other.
constexpr size_t kGpuInstances = 2;

// Number of the GPU, or -1 for the CPU.
int parse_device(const std::string& device, const std::string& path, const Manifest& manifest) {
  const bool plan = !manifest.plan.buckets.empty();
  if (device == "auto") return plan ? 0 : -1;
  if (device == "cpu") {
    if (!plan) return -1;
    throw DeviceUnavailableError("'" + path + "' is a TensorRT plan, which runs on an NVIDIA GPU " +
                                 "only; use the .onnx engine on a CPU");
  }
  int number = 0;
  const bool known = device == "cuda" || device.rfind("cuda:", 0) == 0;
  if (known && device != "cuda") {
    const char* const begin = device.c_str() + 5;
    const auto [end, error] = std::from_chars(begin, device.c_str() + device.size(), number);
    if (error != std::errc() || end != device.c_str() + device.size() || number < 0) number = -1;
  }
  if (!known || number < 0) {
    throw ArgumentError("device: expected 'auto', 'cpu', 'cuda' or 'cuda:N', got '" + device + "'");
  }
  return number;
}

void check_precision(const std::string& precision) {
  if (precision == "fp32" || precision == "bf16") return;
  throw ArgumentError("precision: expected 'fp32' or 'bf16', got '" + precision + "'");
}

std::string plan_backend(const Manifest& manifest, const Options& options) {
  const std::string& target = manifest.plan.target;
  if (options.backend != "auto" && options.backend != target) {
    throw ArgumentError("backend: a plan of " + target + " runs in it, expected auto or " + target +
                        ", got '" + options.backend + "'");
  }
  if (options.precision != "fp32" && options.precision != manifest.precision) {
    throw ArgumentError("precision: this plan is in " + manifest.precision + ", got '" +
                        options.precision + "'");
  }
  return target;
}

void check_bucket(const std::vector<size_t>& sizes, size_t bucket) {
  if (bucket == 0 || std::find(sizes.begin(), sizes.end(), bucket) != sizes.end()) return;
  std::string known;
  for (const size_t size : sizes) known += (known.empty() ? "" : ", ") + std::to_string(size);
  throw ArgumentError("bucket: expected one of the batch sizes " + known + ", got " +
                      std::to_string(bucket));
}

// For .onnx engines on a GPU.
std::string gpu_backend(const Options& options) {
  if (options.precision != "tf32") check_precision(options.precision);
  if (options.backend == "auto" || options.backend == "onnxruntime") return "onnxruntime";
  throw ArgumentError("backend: an .onnx engine runs in onnxruntime on a GPU, expected auto or " +
                      std::string("onnxruntime, got '") + options.backend + "'");
}

std::string choose_backend(const Manifest& manifest, const Options& options) {
  if (options.backend != "auto") return options.backend;
  std::string best;
  double best_rate = 0.0;
  for (const auto& [name, rate] : manifest.throughput) {
    if (rate > best_rate && backend_can(name, options.precision)) {
      best = name;
      best_rate = rate;
    }
  }
  if (!best.empty()) return best;
  for (const auto& name : backend_names()) {
    if (backend_can(name, options.precision)) return name;
  }
  // Nothing fits: the reference backend says why.
  return options.precision == "fp32" ? "onnxruntime" : "openvino";
}

bool takes_small_images(const Manifest& manifest) {
  if (takes_latents(manifest)) return false;
  return tensor_info(input_name(manifest), manifest, 1).bytes() <= kWideImageBytes;
}

size_t next_power_of_two(size_t value) {
  size_t power = 1;
  while (power < value) power *= 2;
  return power;
}

}  // namespace

Engine::Engine(const std::string& path, const Options& options,
               const std::vector<std::string>& roles)
    : path_(path), options_(options) {
  if (options.instances > 4096) {
    throw ArgumentError("instances: expected at most 4096, got " +
                        std::to_string(options.instances));
  }
  file_ = std::make_unique<const MappedFile>(path);
  manifest_ = read_manifest(*file_);
  if (std::find(roles.begin(), roles.end(), manifest_.role) == roles.end()) {
    std::string expected;
    for (const auto& role : roles) expected += (expected.empty() ? "'" : " or '") + role + "'";
    throw ArgumentError("'" + path + "' has the role '" + manifest_.role + "', expected " +
                        expected);
  }
  check_engine_file(*file_, manifest_);
  device_ = parse_device(options.device, path, manifest_);
  if (device_ < 0) {
    check_precision(options.precision);
    backend_name_ = choose_backend(manifest_, options);
    instances_ = options.instances ? options.instances : available_cores();
    if (options.bucket != 0) {
      throw ArgumentError("bucket: '" + path + "' runs on the CPU, where images do not depend on " +
                          "the size of a run; expected none");
    }
  } else {
    const bool plan = !manifest_.plan.buckets.empty();
    backend_name_ = plan ? plan_backend(manifest_, options) : gpu_backend(options);
    instances_ = options.instances ? options.instances : kGpuInstances;
    run_sizes_ = plan ? manifest_.plan.buckets : onnxruntime_cuda_sizes(manifest_);
    sizes_ = run_sizes_.size();
    check_bucket(run_sizes_, options.bucket);
    // TensorRT opens it by itself, once.
    if (plan) file_.reset();
  }
  live();
}

Engine::Live& Engine::live() {
  Live& here = live_.get();
  if (here.ready.load(std::memory_order_acquire)) return here;
  const std::lock_guard<std::mutex> lock(here.mutex);
  if (here.ready) return here;
  here.backend = make();
  here.pool = std::make_unique<InstancePool>(instances_);
  here.ready.store(true, std::memory_order_release);
  return here;
}

std::string Engine::device() const {
  return device_ < 0 ? "cpu" : "cuda:" + std::to_string(device_);
}

std::unique_ptr<Backend> Engine::make() const {
  std::string_view graph;
  if (file_) graph = {reinterpret_cast<const char*>(file_->begin()), file_->size()};
  const BackendConfig config{path_, graph, options_.precision, instances_, &manifest_, device_};
  if (device_ < 0) return make_backend(backend_name_, config);
  return manifest_.plan.buckets.empty() ? make_onnxruntime_cuda(config) : make_plan_backend(config);
}

Backend& Engine::backend() { return *live().backend; }
InstancePool& Engine::pool() { return *live().pool; }

size_t Engine::prepare(uint64_t n, size_t batch) {
  while (true) {
    const size_t rows = with_usual_bits(run_size(n, batch));
    if (!backend().fixed_batch()) return rows;
    try {
      backend().prepare(rows);
      return rows;
    } catch (const OutOfMemoryError& error) {
      if (!leave_out(rows)) throw;
      warn("'" + path_ + "' runs fewer images at a time than " + std::to_string(rows) + ": " +
           error.what());
    }
  }
}

size_t Engine::with_usual_bits(size_t rows) {
  // In fp32 the export has looked (batch_min). What other precisions do is up to the CPU: of
  // two that both have bf16, only one may have matrix units, which other sizes of a run use.
  const size_t usual = std::max(manifest_.batch_min, std::min(kRunRows, manifest_.batch_max));
  if (device_ >= 0 || options_.precision == "fp32" || rows == usual) return rows;
  Live& here = live();
  const std::lock_guard<std::mutex> lock(here.sizes_mutex);
  const auto found = here.usual.find(rows);
  if (found != here.usual.end()) return found->second ? rows : usual;
  bool same = false;
  const auto work = [&](size_t instance, size_t) {
    same = rows_stand_alone(here.backend.get(), manifest_, instance, std::min(rows, usual),
                            std::max(rows, usual));
  };
  here.pool->run(std::make_shared<Job>(1, work), {});
  here.usual.emplace(rows, same);
  return same ? rows : usual;
}

void Engine::check_memory(const char* name, const void* data, Memory memory) {
  if (memory == Memory::kHost || !data) return;
  if (device_ < 0) {
    throw ArgumentError(std::string(name) + ": expected memory of the host, for '" + path_ +
                        "' runs on the CPU");
  }
  int found = -1;
  const OnDevice here(device_);
  check_cuda(cuda_ops().device_of(data, &found));
  if (found == device_) return;
  throw ArgumentError(std::string(name) + ": expected memory of cuda:" + std::to_string(device_) +
                      ", where '" + path_ + "' runs, got memory of " +
                      (found < 0 ? "the host" : "cuda:" + std::to_string(found)));
}

bool Engine::leave_out(size_t rows) {
  if (options_.bucket != 0) return false;
  const auto found = std::find(run_sizes_.begin(), run_sizes_.end(), rows);
  if (found == run_sizes_.begin() || found == run_sizes_.end()) return false;
  sizes_ = std::min(sizes_.load(), static_cast<size_t>(found - run_sizes_.begin()));
  return true;
}

size_t Engine::bucket(uint64_t n, size_t batch) const {
  if (options_.bucket != 0) return options_.bucket;
  const size_t limit = batch ? batch : run_sizes_.back();
  size_t best = run_sizes_.front();
  for (size_t i = 0; i < sizes_ && run_sizes_[i] <= limit; ++i) {
    best = run_sizes_[i];
    if (best >= n) break;
  }
  return best;
}

size_t Engine::run_size(uint64_t n, size_t batch) const {
  if (batch > manifest_.batch_max) {
    throw ArgumentError("batch: this engine takes 1 to " + std::to_string(manifest_.batch_max) +
                        ", got " + std::to_string(batch));
  }
  if (device_ >= 0) return bucket(n, batch);
  return std::max(manifest_.batch_min, wanted_run_size(n, batch));
}

size_t Engine::wanted_run_size(uint64_t n, size_t batch) const {
  const size_t most = std::min(kRunRows, manifest_.batch_max);
  if (batch != 0) {
    const size_t runs = (batch + most - 1) / most;
    return (batch + runs - 1) / runs;
  }
  const uint64_t share = (n + instances_ - 1) / instances_;
  if (share >= kWideRuns * kWideRunRows && takes_small_images(manifest_)) {
    return std::min(kWideRunRows, manifest_.batch_max);
  }
  return share >= most ? most : std::min(most, next_power_of_two(static_cast<size_t>(share)));
}

}  // namespace zoo
