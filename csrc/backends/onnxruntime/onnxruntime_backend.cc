#include "backends/onnxruntime/onnxruntime_backend.h"

#include "backends/onnxruntime/ort_api.h"
#include "base/fork.h"
#include "format/tensors.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

class OnnxRuntimeBackend : public Backend {
 public:
  explicit OnnxRuntimeBackend(const BackendConfig& config)
      : manifest_(*config.manifest),
        session_(open_session(config.graph)),
        memory_(Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeDefault)) {
    noise_ = find_noise(session_, config.path, manifest_);
  }

  ~OnnxRuntimeBackend() override {
    const ForkGuard guard;
    session_ = Ort::Session(nullptr);
  }

  NoiseFrom noise_from() const override {
    return noise_.draws ? NoiseFrom::kGraph : NoiseFrom::kCaller;
  }
  bool takes_row_keys() const override { return noise_.row_keys; }
  bool fixed_batch() const override { return false; }
  void prepare(size_t) override {}

  void run(size_t, const RunArguments& arguments) override try {
    std::vector<const char*> input_names;
    std::vector<const char*> output_names;
    std::vector<Ort::Value> inputs;
    std::vector<Ort::Value> outputs;
    bind(arguments.inputs, arguments, &input_names, &inputs);
    bind(arguments.outputs, arguments, &output_names, &outputs);
    const ForkGuard guard;
    session_.Run(Ort::RunOptions{nullptr}, input_names.data(), inputs.data(), inputs.size(),
                 output_names.data(), outputs.data(), outputs.size());
  } catch (const Ort::Exception& error) {
    throw ExecutionError(std::string("ONNX Runtime: ") + error.what());
  }

 private:
  static Ort::Session open_session(std::string_view graph) {
    Ort::SessionOptions options;
    // Parallelism comes from the instances, which share this session and its weights.
    options.SetIntraOpNumThreads(1);
    options.SetInterOpNumThreads(1);
    options.SetGraphOptimizationLevel(ORT_ENABLE_ALL);
    options.Add(custom_op_domain());
    return Ort::Session(ort_environment(), graph.data(), graph.size(), options);
  }

  void bind(const std::vector<Binding>& bindings, const RunArguments& run,
            std::vector<const char*>* names, std::vector<Ort::Value>* values) const {
    for (const Binding& binding : bindings) {
      const TensorInfo info = tensor_info(binding.name, manifest_, run.rows, run.keys);
      names->push_back(binding.name.c_str());
      values->push_back(Ort::Value::CreateTensor(memory_, binding.data, info.bytes(),
                                                 info.shape.data(), info.shape.size(),
                                                 ort_element_type(info.type)));
    }
  }

  const Manifest& manifest_;
  Ort::Session session_;
  Ort::MemoryInfo memory_;
  GraphNoise noise_;
};

}  // namespace

bool onnxruntime_can(const std::string& precision) { return precision == "fp32"; }

std::string onnxruntime_version() { return ort_api_base()->GetVersionString(); }

std::unique_ptr<Backend> make_onnxruntime(const BackendConfig& config) {
  if (!onnxruntime_can(config.precision)) {
    throw BackendUnavailableError("backend onnxruntime supports fp32 on a CPU, not " +
                                  config.precision + ": use backend='openvino' for bf16");
  }
  const ForkGuard guard;
  ort_api_base();
  try {
    return std::make_unique<OnnxRuntimeBackend>(config);
  } catch (const Ort::Exception& error) {
    throw EngineFileError("ONNX Runtime cannot load '" + config.path + "': " + error.what());
  }
}

}  // namespace zoo
