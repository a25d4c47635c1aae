// OpenVINO on the CPU: faster than ONNX Runtime on convolutional decoders, and with bf16. Compiled
// into a library of its own, which openvino_loader.cc opens.

#include <chrono>
#include <map>
#include <mutex>
#include <openvino/openvino.hpp>
#include <system_error>

#include "backends/openvino/graph.h"
#include "backends/openvino/openvino_loader.h"
#include "base/fork.h"
#include "base/median.h"
#include "format/tensors.h"
#include "zoo/errors.h"
#include "zoo_interfaces.h"

namespace zoo {
namespace {

ov::element::Type inference_precision(ov::Core* core, const std::string& precision) {
  if (precision == "fp32") return ov::element::f32;
  const auto capabilities = core->get_property("CPU", ov::device::capabilities);
  for (const auto& capability : capabilities) {
    if (capability == ov::device::capability::BF16) return ov::element::bf16;
  }
  throw BackendUnavailableError("precision bf16: this CPU has no bf16 instructions; use fp32");
}

// Measurement of layers: minimum number of rounds.
constexpr size_t kLeastRounds = 5;

class OpenVinoBackend : public Backend {
 public:
  explicit OpenVinoBackend(const BackendConfig& config)
      : manifest_(*config.manifest),
        instances_(config.instances),
        core_(shared_core()),
        precision_(inference_precision(&core_, config.precision)),
        graph_(read_graph(&core_, config, precision_)) {}

  ~OpenVinoBackend() override {
    const ForkGuard guard;
    requests_.clear();
    graph_.reset();
  }

  NoiseFrom noise_from() const override { return NoiseFrom::kCaller; }
  bool fixed_batch() const override { return true; }

  // Compiles the model with static shapes, for which the plugin plans kernels and memory once.
  void prepare(size_t rows) override try {
    const ForkGuard guard;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (requests_.count(rows)) return;
    requests_.emplace(rows, create_requests(rows, instances_, /*profiled=*/false));
  } catch (const ov::Exception& error) {
    throw ExecutionError(std::string("OpenVINO: ") + error.what());
  } catch (const std::system_error& error) {
    // OpenVINO starts a thread per instance.
    throw ExecutionError("instances: OpenVINO cannot start " + std::to_string(instances_) + ": " +
                         error.what());
  }

  void run(size_t instance, const RunArguments& arguments) override try {
    const ForkGuard guard;
    Request& request = find_requests(arguments.rows)[instance];
    bind(arguments, &request);
    request.infer.infer();
  } catch (const ov::Exception& error) {
    throw ExecutionError(std::string("OpenVINO: ") + error.what());
  }

  LayerTimes measure_layers(const RunArguments& arguments, double seconds) override try {
    using Clock = std::chrono::steady_clock;
    const ForkGuard guard;
    Request request = create_requests(arguments.rows, 1, /*profiled=*/true).front();
    bind(arguments, &request);
    request.infer.infer();  // warms up
    std::vector<ov::ProfilingInfo> layers;
    std::vector<std::vector<double>> rounds;
    const auto begin = Clock::now();
    for (size_t round = 0; round < kLeastRounds ||
                           std::chrono::duration<double>(Clock::now() - begin).count() < seconds;
         ++round) {
      request.infer.infer();
      layers = request.infer.get_profiling_info();
      rounds.resize(layers.size());
      for (size_t i = 0; i < layers.size(); ++i) {
        rounds[i].push_back(std::chrono::duration<double>(layers[i].real_time).count());
      }
    }
    LayerTimes times;
    for (size_t i = 0; i < layers.size(); ++i) {
      if (layers[i].status != ov::ProfilingInfo::Status::EXECUTED) continue;
      times.layers.push_back({layers[i].node_name, layers[i].node_type, layers[i].exec_type, 0.0,
                              median(&rounds[i]) / static_cast<double>(arguments.rows)});
    }
    return times;
  } catch (const ov::Exception& error) {
    throw ExecutionError(std::string("OpenVINO: ") + error.what());
  }

 private:
  struct Request {
    ov::InferRequest infer;
    // Memory for outputs that are not bound in a run: they would otherwise be written to the memory
    // of the previous caller.
    std::map<std::string, ov::Tensor> own_outputs;
  };

  std::vector<Request> create_requests(size_t rows, size_t instances, bool profiled) const {
    auto sized = graph_->clone();
    std::map<std::string, ov::PartialShape> shapes;
    for (const auto& name : input_names(manifest_, /*draws=*/false)) {
      const TensorInfo info = tensor_info(name, manifest_, rows);
      shapes[name] = ov::Shape(info.shape.begin(), info.shape.end());
    }
    sized->reshape(shapes);
    auto compiled = core_.compile_model(
        sized, "CPU", ov::num_streams(static_cast<int32_t>(instances)),
        ov::inference_num_threads(static_cast<int32_t>(instances)),
        ov::hint::enable_cpu_pinning(false), ov::hint::inference_precision(precision_),
        ov::enable_profiling(profiled));
    std::vector<Request> requests(instances);
    for (Request& request : requests) {
      request.infer = compiled.create_infer_request();
      for (const auto& name : output_names(manifest_)) {
        request.own_outputs.emplace(name, request.infer.get_tensor(name));
      }
    }
    return requests;
  }

  void bind(const RunArguments& arguments, Request* request) const {
    for (const Binding& binding : arguments.inputs) {
      request->infer.set_tensor(binding.name, make_tensor(binding, arguments.rows));
    }
    auto unbound = request->own_outputs;
    for (const Binding& binding : arguments.outputs) {
      request->infer.set_tensor(binding.name, make_tensor(binding, arguments.rows));
      unbound.erase(binding.name);
    }
    for (const auto& [name, memory] : unbound) request->infer.set_tensor(name, memory);
  }

  std::vector<Request>& find_requests(size_t rows) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return requests_.at(rows);
  }

  ov::Tensor make_tensor(const Binding& binding, size_t rows) const {
    const TensorInfo info = tensor_info(binding.name, manifest_, rows);
    return ov::Tensor(element_type(info.type), ov::Shape(info.shape.begin(), info.shape.end()),
                      binding.data);
  }

  const Manifest& manifest_;
  const size_t instances_;
  ov::Core& core_;
  ov::element::Type precision_;
  std::shared_ptr<ov::Model> graph_;
  std::mutex mutex_;
  std::map<size_t, std::vector<Request>> requests_;
};

std::string version() {
  const ForkGuard guard;
  const std::string build = ov::get_openvino_version().buildNumber;
  return build.substr(0, build.find('-'));
}

std::unique_ptr<Backend> make(const BackendConfig& config) {
  const ForkGuard guard;
  try {
    return std::make_unique<OpenVinoBackend>(config);
  } catch (const ov::Exception& error) {
    throw EngineFileError("OpenVINO cannot load '" + config.path + "': " + error.what());
  }
}

}  // namespace
}  // namespace zoo

extern "C" ZOO_API const zoo::OpenVinoEntry zoo_openvino_entry;
const zoo::OpenVinoEntry zoo_openvino_entry = {zoo::kOpenVinoInterface, ZOO_OPENVINO_BUILT_FOR,
                                               zoo::version, zoo::make};
