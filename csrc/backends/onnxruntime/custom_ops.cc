// The two operators on the CPU, for our own sessions and, through RegisterCustomOps, for
// anybody's.
#include "backends/onnxruntime/custom_op_kinds.h"
#include "ops/reparametrized_sample.h"
#include "zoo/export.h"

namespace zoo {
namespace {

constexpr const char* kCpu = "CPUExecutionProvider";

uint64_t number(const Ort::ConstValue& value) {
  return static_cast<uint64_t>(*value.GetTensorData<int64_t>());
}

class SampleKernel {
 public:
  static constexpr const char* kProvider = kCpu;
  explicit SampleKernel(const OrtKernelInfo* info) : stream_(noise_stream_of(info)) {}

  OrtStatusPtr ComputeV2(OrtKernelContext* raw) {
    return ort_status([&] {
      const Ort::KernelContext context(raw);
      const SampleOperands given(context);
      const NoiseKey key{number(given.seed), number(given.first), stream_};
      auto h = context.GetOutput(0, given.shape);
      reparametrized_sample(given.mu.GetTensorData<float>(), given.logvar.GetTensorData<float>(),
                            key, given.rows(), given.width(), h.GetTensorMutableData<float>());
    });
  }

 private:
  const uint32_t stream_;
};

class InterpolateKernel {
 public:
  static constexpr const char* kProvider = kCpu;
  explicit InterpolateKernel(const OrtKernelInfo* info) : mode_(interpolation_of(info)) {}

  OrtStatusPtr ComputeV2(OrtKernelContext* raw) {
    return ort_status([&] {
      const Ort::KernelContext context(raw);
      const InterpolateOperands given(context);
      auto h = context.GetOutput(0, given.shape);
      batched_interpolate(given.a.GetTensorData<float>(), given.b.GetTensorData<float>(),
                          given.t.GetTensorData<float>(), mode_, given.rows(), given.steps(),
                          given.width(), h.GetTensorMutableData<float>());
    });
  }

 private:
  const Interpolation mode_;
};

}  // namespace

OrtCustomOpDomain* custom_op_domain() {
  static OrtCustomOpDomain* const domain = make_custom_op_domain<SampleKernel, InterpolateKernel>();
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
