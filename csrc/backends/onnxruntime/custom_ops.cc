// The two operators on the CPU, for our own sessions and, through RegisterCustomOps, for
// anybody's.
#include "backends/onnxruntime/custom_op_kinds.h"
#include "ops/reparametrized_sample.h"
#include "zoo/export.h"

namespace zoo {
namespace {

struct Cpu {
  static constexpr const char* kProvider = "CPUExecutionProvider";

  static uint64_t number(const Ort::ConstValue& value) {
    return static_cast<uint64_t>(*value.GetTensorData<int64_t>());
  }

  static void sample(const Ort::KernelContext&, const SampleOperands& given, uint32_t stream,
                     float* h) {
    const NoiseKey key{number(given.seed), number(given.first), stream};
    reparametrized_sample(given.mu.GetTensorData<float>(), given.logvar.GetTensorData<float>(), key,
                          given.rows(), given.width(), h);
  }

  static void interpolate(const Ort::KernelContext&, const InterpolateOperands& given,
                          Interpolation mode, float* h) {
    batched_interpolate(given.a.GetTensorData<float>(), given.b.GetTensorData<float>(),
                        given.t.GetTensorData<float>(), mode, given.rows(), given.steps(),
                        given.width(), h);
  }
};

}  // namespace

OrtCustomOpDomain* custom_op_domain() {
  static OrtCustomOpDomain* const domain = make_custom_op_domain<Cpu>();
  return domain;
}

}  // namespace zoo

// ONNX Runtime's entry point for libraries of custom operators:
// SessionOptions.register_custom_ops_library(runtime.ops.ops_library()).
extern "C" ZOO_API OrtStatus* RegisterCustomOps(OrtSessionOptions* options,
                                                const OrtApiBase* base) {
  const OrtApi* api = base->GetApi(ORT_API_VERSION);
  if (!api) {
    return base->GetApi(1)->CreateStatus(ORT_FAIL, "the zoo operators need a newer ONNX Runtime");
  }
  Ort::InitApi(api);
  try {
    return api->AddCustomOpDomain(options, zoo::custom_op_domain());
  } catch (const std::exception& error) {
    return api->CreateStatus(ORT_FAIL, error.what());
  }
}
