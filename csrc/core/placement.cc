#include "core/placement.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <sstream>

#include "base/cores.h"
#include "base/text.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

// The copies of one instance overlap the computation of the other.
constexpr size_t kGpuInstances = 2;

// Returns the number of the GPU, or -1 for the CPU.
int parse_device(const std::string& device, const std::string& path, FileKind file) {
  const bool plan = file == FileKind::kPlan;
  if (device == "auto") return plan ? 0 : -1;
  if (device == "cpu") {
    if (!plan) return -1;
    throw DeviceUnavailableError("'" + path + "' is a TensorRT plan, which runs only on an " +
                                 "NVIDIA GPU; use the .onnx engine on a CPU");
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

std::vector<std::string> split_words(const char* text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

void check_int8(const std::string& path, const Manifest& manifest) {
  if (manifest.int8_refused.empty() && !manifest.int8_ranges.empty()) return;
  throw ArgumentError("precision: '" + path + "' has no int8 form: " +
                      (manifest.int8_refused.empty()
                           ? "its manifest has no ranges of activations, which the export measures"
                           : manifest.int8_refused));
}

void check_precision(const std::string& path, const BackendEntry& backend, const Manifest& manifest,
                     const std::string& precision) {
  if (backend.precisions) {
    const std::vector<std::string> known = split_words(backend.precisions);
    if (std::count(known.begin(), known.end(), precision) != 0) {
      if (precision == "int8") check_int8(path, manifest);
      return;
    }
    throw ArgumentError("precision: expected " + alternatives(known, /*quoted=*/true) + ", got '" +
                        precision + "'");
  }
  if (precision == "fp32" || precision == manifest.precision) return;
  throw ArgumentError("precision: this plan is in " + manifest.precision + ", got '" + precision +
                      "'");
}

const BackendEntry* find(const std::vector<const BackendEntry*>& entries, const std::string& name) {
  const auto entry = std::find_if(entries.begin(), entries.end(),
                                  [&](const BackendEntry* other) { return name == other->name; });
  return entry == entries.end() ? nullptr : *entry;
}

// Returns the fastest one measured at export that supports the precision, of those that never go
// first, else the first that supports it.
const BackendEntry* choose_measured(const std::vector<const BackendEntry*>& entries,
                                    const Manifest& manifest, const Options& options) {
  const BackendEntry* best = nullptr;
  double best_rate = 0.0;
  for (const auto& [name, rate] : manifest.throughput) {
    // A manifest may name a backend of a newer version.
    const BackendEntry* const entry = find(entries, name);
    if (rate <= best_rate || !entry || !entry->can(options.precision)) continue;
    // One that goes first was considered before, and may not know the graph.
    if (entry->goes_first) continue;
    best = entry;
    best_rate = rate;
  }
  if (best) return best;
  for (const BackendEntry* entry : entries) {
    if (entry->can(options.precision)) return entry;
  }
  // None supports it: the error of this one says why.
  return find(entries, options.precision == "fp32"   ? "onnxruntime"
                       : options.precision == "bf16" ? "openvino"
                                                     : "native");
}

// Chooses the named backend; for "auto" one that goes first, and what to fall back on.
void choose_cpu_backend(const Manifest& manifest, const Options& options, Placement* placement) {
  const auto entries = backends_for(DeviceKind::kCpu, FileKind::kOnnx);
  if (options.backend != "auto") {
    placement->backend = find(entries, options.backend);
    if (!placement->backend) throw_unknown_backend(options.backend);
    return;
  }
  placement->backend = choose_measured(entries, manifest, options);
  for (const BackendEntry* entry : entries) {
    if (!entry->goes_first || !entry->goes_first(options.precision)) continue;
    placement->fallback = entry == placement->backend ? nullptr : placement->backend;
    placement->backend = entry;
    return;
  }
}

const BackendEntry* choose_gpu_backend(const Manifest& manifest, FileKind file,
                                       const Options& options) {
  auto entries = backends_for(DeviceKind::kGpu, file);
  // A plan runs only in the library that built it.
  if (file == FileKind::kPlan) entries = {find(entries, manifest.plan.target)};
  if (options.backend == "auto") return entries.front();
  if (const BackendEntry* const named = find(entries, options.backend)) return named;
  std::vector<std::string> known = {"auto"};
  for (const BackendEntry* entry : entries) known.emplace_back(entry->name);
  throw ArgumentError("backend: expected " + alternatives(known, /*quoted=*/true) + " for " +
                      (file == FileKind::kPlan ? "this plan" : "an .onnx engine on a GPU") +
                      ", got '" + options.backend + "'");
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
  if (manifest.plan.plugins) {
    throw BackendUnavailableError("'" + path +
                                  "' draws its noise with libzoo_plugins.so, for "
                                  "programs that run TensorRT themselves, such as Triton; this "
                                  "runtime runs plans that were built without --plugins");
  }
  Placement placement;
  placement.device = parse_device(options.device, path, file);
  if (placement.on_gpu()) {
    placement.backend = choose_gpu_backend(manifest, file, options);
  } else {
    choose_cpu_backend(manifest, options, &placement);
  }
  check_precision(path, *placement.backend, manifest, options.precision);
  if (!placement.on_gpu()) {
    placement.instances = options.instances ? options.instances : count_cores();
    if (options.bucket == 0) return placement;
    throw ArgumentError("bucket: expected none, because '" + path + "' runs on the CPU, where " +
                        "images do not depend on the batch size");
  }
  placement.instances = options.instances ? options.instances : kGpuInstances;
  placement.run_sizes = placement.backend->run_sizes(manifest);
  check_bucket(placement.run_sizes, options.bucket);
  return placement;
}

}  // namespace zoo
