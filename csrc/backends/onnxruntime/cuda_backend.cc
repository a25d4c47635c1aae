#include "backends/onnxruntime/cuda_backend.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>

#include "backends/onnxruntime/cuda_bucket.h"
#include "backends/onnxruntime/cuda_session.h"
#include "base/warnings.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

constexpr size_t kSizes[] = {1, 16, 64, 256};

// What one thread at a time uses.
struct Instance {
  CudaStream stream;
  // For runs of any size, until the first size takes it.
  std::unique_ptr<CudaSession> session;
  bool shared = false;  // some size runs in it: it is no other's alone
  std::mutex mutex;
};

// Runs of one size by one instance. A session that is asked for another size gives up kernels and
// memory of the size before, which a CUDA graph goes on using: each size that has one has a session
// of its own.
struct Size {
  std::unique_ptr<CudaSession> session;  // null: the instance's
  std::unique_ptr<CudaBucket> bucket;
};

class OnnxRuntimeCudaBackend : public Backend {
 public:
  explicit OnnxRuntimeCudaBackend(const BackendConfig& config)
      : config_(config), manifest_(*config.manifest) {
    const OnDevice here(config_.device);
    for (size_t i = 0; i < config.instances; ++i) {
      instances_.push_back(std::make_unique<Instance>());
      Instance& made = *instances_.back();
      made.stream = make_cuda_stream();
      made.session = open(made);
    }
    const Ort::Session& session = instances_.front()->session->session;
    draws_ = graph_draws(session, config_.path, manifest_);
    rows_ = name_of_rows(session);
  }

  ~OnnxRuntimeCudaBackend() override {
    const OnDevice here(config_.device, std::nothrow);
    sizes_.clear();
    instances_.clear();
  }

  // The graph itself draws, from operands that are here already.
  NoiseFrom noise_from() const override {
    return draws_ ? NoiseFrom::kBackend : NoiseFrom::kCaller;
  }
  bool fixed_batch() const override { return true; }
  bool copies() const override { return true; }

  void prepare(size_t rows) override {
    const std::string no_graph = prepare_all(rows);
    // Not under the lock: the handler may wait for a thread that waits for it.
    if (no_graph.empty() || told_.exchange(true)) return;
    warn("'" + config_.path + "' runs without CUDA graphs, which takes longer: " + no_graph);
  }

  void run(size_t index, const RunArguments& arguments) override {
    CudaBucket* bucket = nullptr;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      bucket = sizes_.at(arguments.rows).at(index).bucket.get();
    }
    const OnDevice here(config_.device);
    const std::lock_guard<std::mutex> alone(instances_[index]->mutex);
    bucket->run(arguments);
  }

  uint64_t peak_device_bytes() const override {
    const std::lock_guard<std::mutex> lock(mutex_);
    return device_bytes_;
  }

 private:
  // Why the runs of that size are no CUDA graphs; empty where they are, or it was asked before.
  std::string prepare_all(size_t rows) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (sizes_.count(rows) != 0) return "";
    const OnDevice here(config_.device);
    std::vector<Size> made;
    uint64_t bytes = 0;
    std::string no_graph;
    for (const auto& instance : instances_) {
      // Another size may be at work there.
      const std::lock_guard<std::mutex> alone(instance->mutex);
      made.push_back(make(instance.get(), rows, &no_graph));
      bytes += made.back().bucket->device_bytes();
    }
    sizes_.emplace(rows, std::move(made));
    device_bytes_ += bytes;
    return no_graph;
  }

  std::unique_ptr<CudaSession> open(const Instance& instance) const {
    return std::make_unique<CudaSession>(open_cuda_session(config_, instance.stream.get()));
  }

  Size make(Instance* instance, size_t rows, std::string* no_graph) const try {
    Size size;
    if (instance->session && instance->session->no_graph.empty() && !instance->shared) {
      size.session = std::move(instance->session);
    } else if (Ort::Session own =
                   open_cuda_session_of(config_, instance->stream.get(), rows_, rows)) {
      size.session = std::make_unique<CudaSession>(CudaSession{std::move(own), ""});
    } else if (!instance->session) {
      instance->session = open(*instance);
    }
    if (!size.session) instance->shared = true;
    CudaSession* const session = size.session ? size.session.get() : instance->session.get();
    size.bucket = std::make_unique<CudaBucket>(manifest_, &session->session, instance->stream,
                                               config_.device, rows, draws_);
    const std::string why = size.bucket->prepare(/*graph=*/size.session != nullptr);
    if (no_graph->empty()) *no_graph = size.session ? why : session->no_graph;
    return size;
  } catch (const Ort::Exception& error) {
    throw_run_failure(error);
  }

  const BackendConfig config_;
  const Manifest& manifest_;
  bool draws_ = false;
  std::string rows_;  // what the graph calls their number
  std::vector<std::unique_ptr<Instance>> instances_;
  mutable std::mutex mutex_;
  std::map<size_t, std::vector<Size>> sizes_;
  uint64_t device_bytes_ = 0;
  std::atomic<bool> told_{false};
};

}  // namespace

std::vector<size_t> onnxruntime_cuda_sizes(const Manifest& manifest) {
  std::vector<size_t> sizes = {std::max<size_t>(1, manifest.batch_min)};
  for (const size_t size : kSizes) {
    const size_t rows = std::min(size, manifest.batch_max);
    if (rows > sizes.back()) sizes.push_back(rows);
  }
  return sizes;
}

std::unique_ptr<Backend> make_onnxruntime_cuda(const BackendConfig& config) {
  const std::string device = "cuda:" + std::to_string(config.device);
  if (config.precision != "fp32" && config.precision != "tf32") {
    throw BackendUnavailableError("backend onnxruntime runs fp32 and tf32 on a GPU, not " +
                                  config.precision + ": make a plan of it: python -m export " +
                                  config.path + " --out NAME.plan --precision " + config.precision);
  }
  // First of all: without a driver the provider's library ends the process when it is loaded.
  cuda_device(config.device, "device '" + device + "' for '" + config.path + "'",
              "use device='cpu'");
  require_cuda_provider();
  try {
    return std::make_unique<OnnxRuntimeCudaBackend>(config);
  } catch (const Ort::Exception& error) {
    throw EngineFileError("ONNX Runtime cannot load '" + config.path + "': " + error.what());
  }
}

}  // namespace zoo
