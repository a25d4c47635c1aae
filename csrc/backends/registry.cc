#include "backends/registry.h"

#include <algorithm>

#include "backends/native/native_backend.h"
#include "backends/onnxruntime/cuda_backend.h"
#include "backends/onnxruntime/onnxruntime_backend.h"
#include "backends/openvino/openvino_loader.h"
#include "backends/tensorrt/plan_backend.h"
#include "base/text.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

constexpr auto kCpu = DeviceKind::kCpu;
constexpr auto kGpu = DeviceKind::kGpu;

std::vector<size_t> plan_sizes(const Manifest& manifest) { return manifest.plan.buckets; }

// clang-format off
const BackendEntry kBackends[] = {
    {"onnxruntime", kCpu, FileKind::kOnnx, "fp32 bf16", onnxruntime_can, onnxruntime_version,
     make_onnxruntime, nullptr},
    {"openvino", kCpu, FileKind::kOnnx, "fp32 bf16", openvino_can, openvino_version,
     make_openvino, nullptr},
    {"native", kCpu, FileKind::kOnnx, "fp32 bf16 int8", native_can, native_version,
     make_native, nullptr, native_goes_first, /*rows_match_across_sizes=*/true},
    {"onnxruntime", kGpu, FileKind::kOnnx, "fp32 bf16 tf32", nullptr, onnxruntime_version,
     make_onnxruntime_cuda, onnxruntime_cuda_sizes},
    {"tensorrt", kGpu, FileKind::kPlan, nullptr, nullptr, nullptr, make_plan_backend, plan_sizes},
    {"tensorrt-rtx", kGpu, FileKind::kPlan, nullptr, nullptr, nullptr, make_plan_backend,
     plan_sizes},
};
// clang-format on

}  // namespace

std::vector<const BackendEntry*> backends_for(DeviceKind device, FileKind file) {
  std::vector<const BackendEntry*> entries;
  for (const BackendEntry& entry : kBackends) {
    if (entry.device == device && entry.file == file) entries.push_back(&entry);
  }
  return entries;
}

const std::vector<std::string>& backend_names() {
  static const auto* const names = [] {
    auto* const all = new std::vector<std::string>;
    for (const BackendEntry* entry : backends_for(kCpu, FileKind::kOnnx)) {
      all->emplace_back(entry->name);
    }
    return all;
  }();
  return *names;
}

void throw_unknown_backend(const std::string& name) {
  std::vector<std::string> known = backend_names();
  known.emplace_back("auto");
  std::sort(known.begin(), known.end());
  throw ArgumentError("backend: expected " + alternatives(known) + ", got '" + name + "'");
}

std::string backend_version(const std::string& name) {
  for (const BackendEntry* entry : backends_for(kCpu, FileKind::kOnnx)) {
    if (name == entry->name) return entry->version();
  }
  throw_unknown_backend(name);
}

}  // namespace zoo
