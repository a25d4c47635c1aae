#include "backends/tensorrt/plan_backend.h"

#include <algorithm>

#include "backends/cuda/backend.h"
#include "backends/tensorrt/plan_bucket.h"
#include "backends/tensorrt/tensorrt_loader.h"
#include "base/process_function.h"
#include "format/tensors.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

ProcessFunction<PlanLoader>& loader() {
  static auto* const function = new ProcessFunction<PlanLoader>;
  return *function;
}

// Opens a plan with the loader that was set (TensorRT's Python module), else with TensorRT's C++
// library.
std::unique_ptr<PlanEngine> open_plan(const std::string& path, const Manifest& manifest) {
  const auto open = loader().get();
  return open && *open ? (*open)(path, manifest) : open_plan_natively(path, manifest);
}

std::string describe(const PlanTensor& tensor) {
  std::string text = tensor.type + " [";
  for (size_t axis = 0; axis < tensor.shape.size(); ++axis) {
    const int64_t length = tensor.shape[axis];
    text += (axis ? ", " : "") + (length < 0 ? "N" : std::to_string(length));
  }
  return text + "]";
}

// Checks that the plan has the tensors of its manifest: memory is allocated by the manifest, but
// TensorRT accesses it by the plan. Throws EngineFileError.
void check_tensors(const std::string& path, const Manifest& manifest, const PlanEngine& engine) {
  const std::vector<PlanTensor> tensors = engine.tensors();
  if (tensors.empty()) return;
  const std::string file = "engine file '" + path + "': ";
  const PlanDescription& plan = manifest.plan;
  size_t matched = 0;
  for (const auto* list : {&plan.inputs, &plan.outputs}) {
    for (const PlanTensor& expected : *list) {
      const auto tensor =
          std::find_if(tensors.begin(), tensors.end(),
                       [&](const PlanTensor& other) { return other.name == expected.name; });
      if (tensor == tensors.end()) {
        throw EngineFileError(file + "its network has no '" + expected.name +
                              "', which its manifest has");
      }
      if (tensor->type != expected.type || tensor->shape != expected.shape) {
        throw EngineFileError(file + "'" + expected.name + "' is " + describe(*tensor) +
                              " in its network, but " + describe(expected) + " in its manifest");
      }
      ++matched;
    }
  }
  if (matched == tensors.size()) return;
  throw EngineFileError(file + "its network has " + std::to_string(tensors.size()) +
                        " inputs and outputs, but its manifest has " + std::to_string(matched));
}

// Ten times the lowest compute capability that supports the plan's precision.
int min_capability(const Manifest& manifest) {
  if (manifest.precision == "fp8" && manifest.plan.eight_bits) return 89;
  return manifest.precision == "bf16" ? 80 : 0;
}

// Checks that the GPU can run the plan, and returns its number.
int check_device(const BackendConfig& config) {
  const CudaDevice device = cuda_device(config.device, "'" + config.path + "' is a TensorRT plan",
                                        "on a CPU use the .onnx engine");
  const std::string own = std::to_string(device.major) + "." + std::to_string(device.minor);
  const std::string name = "cuda:" + std::to_string(config.device) + " (" + device.name + ")";
  const int required = min_capability(*config.manifest);
  if (10 * device.major + device.minor < required) {
    throw BackendUnavailableError("'" + config.path + "' is in " + config.manifest->precision +
                                  ", which needs compute capability " +
                                  std::to_string(required / 10) + "." +
                                  std::to_string(required % 10) + "; " + name + " has " + own +
                                  ". Build it with another --precision, such as fp16");
  }
  const std::string& bound = config.manifest->plan.capability;
  if (bound.empty() || bound == own) return config.device;
  throw BackendUnavailableError("'" + config.path + "' is bound to GPUs of compute capability " +
                                bound + "; " + name + " has " + own + ". Build it on this GPU: " +
                                "python -m export ENGINE.onnx --out " + config.path);
}

class PlanBackend : public CudaBackend {
 public:
  explicit PlanBackend(const BackendConfig& config)
      : CudaBackend(check_device(config), config.instances),
        manifest_(*config.manifest),
        path_(config.path) {
    noise_ = {!manifest_.layer_noise.empty() || has_trait(manifest_, kDrawsLatent),
              /*row_keys=*/true};
    const OnDevice current(device_);
    engine_ = open_plan(path_, manifest_);
    check_tensors(path_, manifest_, *engine_);
  }

  ~PlanBackend() override {
    const OnDevice current(device_, std::nothrow);
    drop_buckets();
    engine_.reset();
  }

 private:
  std::unique_ptr<CudaBucket> make_bucket(size_t instance, size_t rows) override {
    const auto& sizes = manifest_.plan.buckets;
    const auto size = std::find(sizes.begin(), sizes.end(), rows);
    if (size == sizes.end()) {
      throw ExecutionError("'" + path_ + "' has no profile of " + std::to_string(rows) + " rows");
    }
    return std::make_unique<PlanBucket>(manifest_, engine_.get(),
                                        static_cast<size_t>(size - sizes.begin()), rows,
                                        stream(instance));
  }

  const Manifest& manifest_;
  const std::string path_;
  std::unique_ptr<PlanEngine> engine_;
};

}  // namespace

void set_plan_loader(PlanLoader function) { loader().set(std::move(function)); }

std::unique_ptr<Backend> make_plan_backend(const BackendConfig& config) {
  return std::make_unique<PlanBackend>(config);
}

}  // namespace zoo
