// The two operators on the CPU, for our own sessions and, through RegisterCustomOps, for those of
// other programs.
#include "backends/onnxruntime/custom_op_kinds.h"
#include "zoo/export.h"

namespace zoo {
namespace {

struct Cpu {
  static constexpr const char* kProvider = "CPUExecutionProvider";

  static void run(const Ort::KernelContext&, const SampleOperands& in, uint32_t stream, float* h) {
    reparametrized_sample(in.mu.GetTensorData<float>(), in.logvar.GetTensorData<float>(),
                          in.keys(stream), in.rows(), in.width(), h);
  }

  static void run(const Ort::KernelContext&, const InterpolateOperands& in, Interpolation mode,
                  float* h) {
    batched_interpolate(in.a.GetTensorData<float>(), in.b.GetTensorData<float>(),
                        in.t.GetTensorData<float>(), mode, in.rows(), in.steps(), in.width(), h);
  }
};

}  // namespace

OrtCustomOpDomain* custom_op_domain() {
  static OrtCustomOpDomain* const domain = make_custom_op_domain<Cpu>();
  return domain;
}

}  // namespace zoo

// Entry point of ONNX Runtime for libraries of custom operators:
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

// The same under a name that no other library has, for programs that are linked to this one:
// OrtApi::RegisterCustomOpsUsingFunction.
extern "C" ZOO_API OrtStatus* zoo_register_custom_ops(OrtSessionOptions* options,
                                                      const OrtApiBase* base)
    __attribute__((alias("RegisterCustomOps")));
