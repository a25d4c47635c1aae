#include "core/engine.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>

#include "backends/registry.h"
#include "backends/tensors.h"
#include "core/plan_file.h"
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

void check_device(const std::string& device) {
  if (device == "cpu") return;
  if (device.rfind("cuda", 0) == 0) {
    throw DeviceUnavailableError("device '" + device +
                                 "': this build runs on the CPU only; use device='cpu'");
  }
  throw ArgumentError("device: expected 'cpu' or 'cuda:N', got '" + device + "'");
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

// Backend before pool: workers stop before what they run goes away.
struct Engine::Live {
  std::unique_ptr<Backend> backend;
  std::unique_ptr<InstancePool> pool;
  pid_t process;
};

Engine::Engine(const std::string& path, const Options& options,
               const std::vector<std::string>& roles)
    : path_(path), options_(options) {
  check_device(options.device);
  if (options.precision != "fp32" && options.precision != "bf16") {
    throw ArgumentError("precision: expected 'fp32' or 'bf16', got '" + options.precision + "'");
  }
  if (options.instances > 4096) {
    throw ArgumentError("instances: expected at most 4096, got " +
                        std::to_string(options.instances));
  }
  manifest_ = Manifest::read(path);
  refuse_plan(path);
  if (std::find(roles.begin(), roles.end(), manifest_.role) == roles.end()) {
    std::string expected;
    for (const auto& role : roles) expected += (expected.empty() ? "'" : " or '") + role + "'";
    throw ArgumentError("'" + path + "' has the role '" + manifest_.role + "', expected " +
                        expected);
  }
  backend_name_ = choose_backend(manifest_, options);
  instances_ = options.instances ? options.instances : available_cores();
  live();
}

Engine::~Engine() {
  Live* live = live_.load();
  // A child cannot join its parent's threads; what they hold is left to the exit.
  if (live && live->process == getpid()) delete live;
}

Engine::Live& Engine::live() {
  const pid_t process = getpid();
  Live* current = live_.load(std::memory_order_acquire);
  if (current && current->process == process) return *current;
  const std::lock_guard<std::mutex> lock(mutex_);
  current = live_.load();
  if (current && current->process == process) return *current;
  const BackendConfig config{path_, options_.precision, instances_, &manifest_};
  auto fresh = std::make_unique<Live>();
  fresh->backend = make_backend(backend_name_, config);
  fresh->pool = std::make_unique<InstancePool>(instances_);
  fresh->process = process;
  live_.store(fresh.get(), std::memory_order_release);
  return *fresh.release();
}

Backend& Engine::backend() { return *live().backend; }
InstancePool& Engine::pool() { return *live().pool; }

size_t Engine::run_size(uint64_t n, size_t batch) const {
  if (batch > manifest_.batch_max) {
    throw ArgumentError("batch: this engine takes 1 to " + std::to_string(manifest_.batch_max) +
                        ", got " + std::to_string(batch));
  }
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
