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
  static auto* const kept = new ProcessFunction<PlanLoader>;
  return *kept;
}

// By the loader that was set (Python's TensorRT), else by TensorRT's C++ library.
std::unique_ptr<PlanEngine> open_plan(const std::string& path, const Manifest& manifest) {
  const auto open = loader().get();
  return open && *open ? (*open)(path, manifest) : open_plan_natively(path, manifest);
}

std::string text_of(const PlanTensor& tensor) {
  std::string text = tensor.type + " [";
  for (size_t axis = 0; axis < tensor.shape.size(); ++axis) {
    const int64_t length = tensor.shape[axis];
    text += (axis ? ", " : "") + (length < 0 ? "N" : std::to_string(length));
  }
  return text + "]";
}

// The memory of every input and output is as large as the manifest says, and TensorRT reads and
// writes as much of it as the plan says. Throws EngineFileError where that is not the same.
void check_engine(const std::string& path, const Manifest& manifest, const PlanEngine& engine) {
  const std::vector<PlanTensor> found = engine.tensors();
  if (found.empty()) return;
  const std::string file = "engine file '" + path + "': ";
  const PlanDescription& plan = manifest.plan;
  size_t matched = 0;
  for (const auto* described : {&plan.inputs, &plan.outputs}) {
    for (const PlanTensor& wanted : *described) {
      const auto same = std::find_if(found.begin(), found.end(), [&](const PlanTensor& tensor) {
        return tensor.name == wanted.name;
      });
      if (same == found.end()) {
        throw EngineFileError(file + "its network has no '" + wanted.name +
                              "', which its manifest has");
      }
      if (same->type != wanted.type || same->shape != wanted.shape) {
        throw EngineFileError(file + "'" + wanted.name + "' is " + text_of(*same) +
                              " in its network, and " + text_of(wanted) + " in its manifest");
      }
      ++matched;
    }
  }
  if (matched == found.size()) return;
  throw EngineFileError(file + "its network has " + std::to_string(found.size()) +
                        " inputs and outputs, its manifest " + std::to_string(matched));
}

// Ten times the least compute capability that has the plan's precision.
int least_capability(const Manifest& manifest) {
  if (manifest.precision == "fp8" && manifest.plan.eight_bits) return 89;
  return manifest.precision == "bf16" ? 80 : 0;
}

// The number of the GPU, which can run the plan.
int checked_device(const BackendConfig& config) {
  const CudaDevice device = cuda_device(config.device, "'" + config.path + "' is a TensorRT plan",
                                        "on a CPU use the .onnx engine");
  const std::string here = std::to_string(device.major) + "." + std::to_string(device.minor);
  const std::string name = "cuda:" + std::to_string(config.device) + " (" + device.name + ")";
  const int least = least_capability(*config.manifest);
  if (10 * device.major + device.minor < least) {
    throw BackendUnavailableError("'" + config.path + "' is in " + config.manifest->precision +
                                  ", which needs compute capability " + std::to_string(least / 10) +
                                  "." + std::to_string(least % 10) + "; " + name + " has " + here +
                                  ". Build it in another --precision, fp16 say");
  }
  const std::string& bound = config.manifest->plan.capability;
  if (bound.empty() || bound == here) return config.device;
  throw BackendUnavailableError(
      "'" + config.path + "' is bound to GPUs of compute capability " + bound + "; " + name +
      " has " + here + ". Build it there: " + "python -m export ENGINE.onnx --out " + config.path);
}

class PlanBackend : public CudaBackend {
 public:
  explicit PlanBackend(const BackendConfig& config)
      : CudaBackend(checked_device(config), config.instances),
        manifest_(*config.manifest),
        path_(config.path) {
    draws_ = !manifest_.layer_noise.empty() || has_trait(manifest_, kDrawsLatent);
    const OnDevice here(device_);
    engine_ = open_plan(path_, manifest_);
    check_engine(path_, manifest_, *engine_);
  }

  ~PlanBackend() override {
    const OnDevice here(device_, std::nothrow);
    drop_buckets();
    engine_.reset();
  }

 private:
  std::unique_ptr<CudaBucket> make_bucket(size_t instance, size_t rows) override {
    const auto& sizes = manifest_.plan.buckets;
    const auto found = std::find(sizes.begin(), sizes.end(), rows);
    if (found == sizes.end()) {
      throw ExecutionError("'" + path_ + "' has no profile of " + std::to_string(rows) + " rows");
    }
    return std::make_unique<PlanBucket>(manifest_, engine_.get(),
                                        static_cast<size_t>(found - sizes.begin()), rows,
                                        stream(instance));
  }

  const Manifest& manifest_;
  const std::string path_;
  std::unique_ptr<PlanEngine> engine_;
};

}  // namespace

void set_plan_loader(PlanLoader given) { loader().set(std::move(given)); }

std::unique_ptr<Backend> make_plan_backend(const BackendConfig& config) {
  return std::make_unique<PlanBackend>(config);
}

}  // namespace zoo
