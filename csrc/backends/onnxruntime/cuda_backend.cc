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

// A session that is asked for another size gives up kernels and memory of the size before, which a
// CUDA graph goes on using: each size that has a graph has a session of its own.
struct Sessions {
  // For runs of any size, until the first size takes it.
  std::shared_ptr<CudaSession> any;
  bool shared = false;  // some size runs in it: it is no other's alone
};

class OnnxRuntimeCudaBackend : public CudaBackend {
 public:
  explicit OnnxRuntimeCudaBackend(const BackendConfig& config)
      : CudaBackend(config.device, config.instances), config_(config), manifest_(*config.manifest) {
    const OnDevice here(device_);
    for (size_t i = 0; i < instances(); ++i) sessions_.push_back({open(i), false});
    const Ort::Session& session = sessions_.front().any->session;
    draws_ = graph_draws(session, config_.path, manifest_);
    rows_ = name_of_rows(session);
  }

  ~OnnxRuntimeCudaBackend() override {
    const OnDevice here(device_, std::nothrow);
    drop_buckets();
    sessions_.clear();
  }

  void prepare(size_t rows) override {
    CudaBackend::prepare(rows);
    std::string why;
    {
      const std::lock_guard<std::mutex> lock(no_graph_mutex_);
      if (told_ || no_graph_.empty()) return;
      told_ = true;
      why = no_graph_;
    }
    // Not under the lock: the handler may wait for a thread that waits for it.
    warn("'" + config_.path + "' runs without CUDA graphs, which takes longer: " + why);
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
                   open_cuda_session_of(config_, stream(instance).get(), rows_, rows)) {
      own = std::make_shared<CudaSession>(CudaSession{std::move(session), ""});
    } else if (!sessions.any) {
      sessions.any = open(instance);
    }
    if (!own) sessions.shared = true;
    const std::shared_ptr<CudaSession>& session = own ? own : sessions.any;
    auto bucket = std::make_unique<SessionBucket>(manifest_, session, stream(instance), device_,
                                                  rows, draws_);
    const std::string why = bucket->prepare(/*graph=*/own != nullptr);
    const std::lock_guard<std::mutex> lock(no_graph_mutex_);
    if (no_graph_.empty()) no_graph_ = own ? why : session->no_graph;
    return bucket;
  } catch (const Ort::Exception& error) {
    throw_run_failure(error);
  }

  const BackendConfig config_;
  const Manifest& manifest_;
  std::string rows_;  // what the graph calls their number
  std::vector<Sessions> sessions_;
  std::mutex no_graph_mutex_;
  std::string no_graph_;  // why some runs are no CUDA graphs
  bool told_ = false;
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
