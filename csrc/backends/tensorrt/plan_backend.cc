#include "backends/tensorrt/plan_backend.h"

#include <algorithm>
#include <map>
#include <mutex>

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

void check_device(const BackendConfig& config) {
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
  if (bound.empty() || bound == here) return;
  throw BackendUnavailableError(
      "'" + config.path + "' is bound to GPUs of compute capability " + bound + "; " + name +
      " has " + here + ". Build it there: " + "python -m export ENGINE.onnx --out " + config.path);
}

// What one thread at a time uses.
struct Instance {
  CudaStream stream;
  std::mutex mutex;
};

class PlanBackend : public Backend {
 public:
  explicit PlanBackend(const BackendConfig& config)
      : manifest_(*config.manifest), device_(config.device), path_(config.path) {
    check_device(config);
    draws_ = !manifest_.layer_noise.empty() || has_trait(manifest_, kDrawsLatent);
    const OnDevice here(device_);
    engine_ = open_plan(path_, manifest_);
    check_engine(path_, manifest_, *engine_);
    for (size_t i = 0; i < config.instances; ++i) {
      instances_.push_back(std::make_unique<Instance>());
      instances_.back()->stream = make_cuda_stream();
    }
  }

  ~PlanBackend() override {
    const OnDevice here(device_, std::nothrow);
    buckets_.clear();
    instances_.clear();
    engine_.reset();
  }

  NoiseFrom noise_from() const override {
    return draws_ ? NoiseFrom::kBackend : NoiseFrom::kCaller;
  }
  bool fixed_batch() const override { return true; }
  bool copies() const override { return true; }

  void prepare(size_t rows) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (buckets_.count(rows) != 0) return;
    const auto& sizes = manifest_.plan.buckets;
    const auto found = std::find(sizes.begin(), sizes.end(), rows);
    if (found == sizes.end()) {
      throw ExecutionError("'" + path_ + "' has no profile of " + std::to_string(rows) + " rows");
    }
    const OnDevice here(device_);
    std::vector<std::unique_ptr<PlanBucket>> made;
    size_t bytes = 0;
    for (const auto& instance : instances_) {
      // Another size may be at work there, its graph under capture.
      const std::lock_guard<std::mutex> alone(instance->mutex);
      made.push_back(std::make_unique<PlanBucket>(manifest_, engine_.get(),
                                                  static_cast<size_t>(found - sizes.begin()), rows,
                                                  instance->stream));
      bytes += made.back()->device_bytes();
    }
    buckets_.emplace(rows, std::move(made));
    device_bytes_ += bytes;
  }

  void run(size_t instance, const RunArguments& arguments) override {
    PlanBucket* bucket = nullptr;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      bucket = buckets_.at(arguments.rows).at(instance).get();
    }
    const OnDevice here(device_);
    const std::lock_guard<std::mutex> alone(instances_[instance]->mutex);
    bucket->run(arguments);
  }

  uint64_t peak_device_bytes() const override {
    const std::lock_guard<std::mutex> lock(mutex_);
    return device_bytes_;
  }

 private:
  const Manifest& manifest_;
  const int device_;
  const std::string path_;
  bool draws_ = false;
  std::unique_ptr<PlanEngine> engine_;
  std::vector<std::unique_ptr<Instance>> instances_;
  mutable std::mutex mutex_;
  std::map<size_t, std::vector<std::unique_ptr<PlanBucket>>> buckets_;
  uint64_t device_bytes_ = 0;
};

}  // namespace

void set_plan_loader(PlanLoader given) { loader().set(std::move(given)); }

std::unique_ptr<Backend> make_plan_backend(const BackendConfig& config) {
  return std::make_unique<PlanBackend>(config);
}

}  // namespace zoo
