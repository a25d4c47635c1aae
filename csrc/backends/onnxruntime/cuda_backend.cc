#include "backends/onnxruntime/cuda_backend.h"

#include <algorithm>
#include <mutex>

#include "backends/cuda/backend.h"
#include "backends/onnxruntime/cuda_session.h"
#include "backends/onnxruntime/session_bucket.h"
#include "base/warnings.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

constexpr size_t kSizes[] = {1, 16, 64, 256};

// Sessions of an instance. A session that runs another size releases kernels and memory of the
// previous size, which its CUDA graph still uses, so each size with a graph has its own session.
struct Sessions {
  std::shared_ptr<CudaSession> any;  // for any size, until one takes it for itself
  bool shared = false;               // some size runs in `any` without a graph
};

class OnnxRuntimeCudaBackend : public CudaBackend {
 public:
  explicit OnnxRuntimeCudaBackend(const BackendConfig& config)
      : CudaBackend(config.device, config.instances), config_(config), manifest_(*config.manifest) {
    const OnDevice current(device_);
    for (size_t i = 0; i < instances(); ++i) sessions_.push_back({open(i), false});
    const Ort::Session& session = sessions_.front().any->session;
    noise_ = find_noise(session, config_.path, manifest_);
    batch_axis_ = batch_axis_name(session);
  }

  ~OnnxRuntimeCudaBackend() override {
    const OnDevice current(device_, std::nothrow);
    drop_buckets();
    sessions_.clear();
  }

  void prepare(size_t rows) override {
    CudaBackend::prepare(rows);
    std::string reason;
    {
      const std::lock_guard<std::mutex> lock(no_graph_mutex_);
      if (warned_ || no_graph_.empty()) return;
      warned_ = true;
      reason = no_graph_;
    }
    // Without the lock, because the handler may wait for a thread that waits for it.
    warn("'" + config_.path + "' runs without CUDA graphs, which is slower: " + reason);
  }

 private:
  std::shared_ptr<CudaSession> open(size_t instance) const {
    return std::make_shared<CudaSession>(open_cuda_session(config_, stream(instance).get()));
  }

  std::unique_ptr<CudaBucket> make_bucket(size_t instance, size_t rows) override try {
    Sessions& sessions = sessions_[instance];
    std::shared_ptr<CudaSession> own;
    if (sessions.any && sessions.any->no_graph.empty() && !sessions.shared) {
      own = std::move(sessions.any);
    } else if (Ort::Session session =
                   open_fixed_size_session(config_, stream(instance).get(), batch_axis_, rows)) {
      own = std::make_shared<CudaSession>(CudaSession{std::move(session), ""});
    } else if (!sessions.any) {
      sessions.any = open(instance);
    }
    if (!own) sessions.shared = true;
    const std::shared_ptr<CudaSession>& session = own ? own : sessions.any;
    auto bucket = std::make_unique<SessionBucket>(manifest_, session, stream(instance), device_,
                                                  rows, noise_);
    const std::string no_graph = bucket->prepare(/*graph=*/own != nullptr);
    const std::lock_guard<std::mutex> lock(no_graph_mutex_);
    if (no_graph_.empty()) no_graph_ = own ? no_graph : session->no_graph;
    return bucket;
  } catch (const Ort::Exception& error) {
    throw_run_failure(error);
  }

  const BackendConfig config_;
  const Manifest& manifest_;
  std::string batch_axis_;
  std::vector<Sessions> sessions_;
  std::mutex no_graph_mutex_;
  std::string no_graph_;  // why some runs have no CUDA graph
  bool warned_ = false;
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
    throw BackendUnavailableError("backend onnxruntime supports fp32 and tf32 on a GPU, not " +
                                  config.precision + ": build a plan: python -m export " +
                                  config.path + " --out NAME.plan --precision " + config.precision);
  }
  // Checked first: without a driver, loading the library of the provider ends the process.
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
