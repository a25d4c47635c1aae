#include "core/placement.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <sstream>
#include <thread>

#include "base/text.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

// On a GPU: the copies of one overlap the computing of the other.
constexpr size_t kGpuInstances = 2;

size_t available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    return static_cast<size_t>(std::max(1, CPU_COUNT(&set)));
  }
  return std::max<size_t>(1, std::thread::hardware_concurrency());
}

// Number of the GPU, or -1 for the CPU.
int parse_device(const std::string& device, const std::string& path, FileKind file) {
  const bool plan = file == FileKind::kPlan;
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

std::vector<std::string> words(const char* text) {
  std::istringstream stream(text);
  std::vector<std::string> all;
  for (std::string word; stream >> word;) all.push_back(word);
  return all;
}

void check_precision(const BackendEntry& backend, const Manifest& manifest,
                     const std::string& precision) {
  if (backend.precisions) {
    const std::vector<std::string> known = words(backend.precisions);
    if (std::count(known.begin(), known.end(), precision) != 0) return;
    throw ArgumentError("precision: expected " + alternatives(known, /*quoted=*/true) + ", got '" +
                        precision + "'");
  }
  if (precision == "fp32" || precision == manifest.precision) return;
  throw ArgumentError("precision: this plan is in " + manifest.precision + ", got '" + precision +
                      "'");
}

const BackendEntry* find(const std::vector<const BackendEntry*>& entries, const std::string& name) {
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const BackendEntry* entry) { return name == entry->name; });
  return found == entries.end() ? nullptr : *found;
}

// Returns the named backend, else the fastest measured at export that can run the precision, else
// the first that can.
const BackendEntry* choose_cpu_backend(const Manifest& manifest, const Options& options) {
  const auto entries = backends_for(DeviceKind::kCpu, FileKind::kOnnx);
  if (options.backend != "auto") {
    if (const BackendEntry* const named = find(entries, options.backend)) return named;
    throw_unknown_backend(options.backend);
  }
  const BackendEntry* best = nullptr;
  double best_rate = 0.0;
  for (const auto& [name, rate] : manifest.throughput) {
    // A manifest may name a backend of a newer version.
    const BackendEntry* const entry = find(entries, name);
    if (rate <= best_rate || !entry || !entry->can(options.precision)) continue;
    best = entry;
    best_rate = rate;
  }
  if (best) return best;
  for (const BackendEntry* entry : entries) {
    if (entry->can(options.precision)) return entry;
  }
  // None fits: this one's error says why.
  return find(entries, options.precision == "fp32" ? "onnxruntime" : "openvino");
}

const BackendEntry* choose_gpu_backend(const Manifest& manifest, FileKind file,
                                       const Options& options) {
  const auto entries = backends_for(DeviceKind::kGpu, file);
  // A plan runs in the library that built it.
  const BackendEntry* const only =
      file == FileKind::kPlan ? find(entries, manifest.plan.target) : entries.front();
  const std::string name = only->name;
  if (options.backend == "auto" || options.backend == name) return only;
  const std::string reason = file == FileKind::kPlan
                                 ? "a plan of " + name + " runs in it"
                                 : "an .onnx engine runs in " + name + " on a GPU";
  throw ArgumentError("backend: " + reason + ", expected auto or " + name + ", got '" +
                      options.backend + "'");
}

void check_bucket(const std::vector<size_t>& sizes, size_t bucket) {
  if (bucket == 0 || std::count(sizes.begin(), sizes.end(), bucket) != 0) return;
  std::vector<std::string> known;
  for (const size_t size : sizes) known.push_back(std::to_string(size));
  throw ArgumentError("bucket: expected one of the batch sizes " + join(known) + ", got " +
                      std::to_string(bucket));
}

}  // namespace

std::string Placement::device_name() const {
  return on_gpu() ? "cuda:" + std::to_string(device) : "cpu";
}

Placement place(const std::string& path, const Manifest& manifest, const Options& options) {
  const FileKind file = manifest.plan.buckets.empty() ? FileKind::kOnnx : FileKind::kPlan;
  Placement placement;
  placement.device = parse_device(options.device, path, file);
  placement.backend = placement.on_gpu() ? choose_gpu_backend(manifest, file, options)
                                         : choose_cpu_backend(manifest, options);
  check_precision(*placement.backend, manifest, options.precision);
  if (!placement.on_gpu()) {
    placement.instances = options.instances ? options.instances : available_cores();
    if (options.bucket == 0) return placement;
    throw ArgumentError("bucket: '" + path + "' runs on the CPU, where images do not depend on " +
                        "the size of a run; expected none");
  }
  placement.instances = options.instances ? options.instances : kGpuInstances;
  placement.run_sizes = placement.backend->run_sizes(manifest);
  check_bucket(placement.run_sizes, options.bucket);
  return placement;
}

}  // namespace zoo
