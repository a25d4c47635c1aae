// The two operators on a GPU: the kernels of libzoo_cuda, on the stream of ONNX Runtime's CUDA
// provider. All operands, the seed and the index too, are in the device's memory, so that a CUDA
// graph of a run can be replayed for other images.
#include "backends/cuda_library.h"
#include "backends/onnxruntime/custom_op_kinds.h"

namespace zoo {
namespace {

constexpr const char* kCuda = "CUDAExecutionProvider";

void launched(const char* failure) {
  if (failure) throw Ort::Exception(failure, ORT_FAIL);
}

const uint64_t* number(const Ort::ConstValue& value) {
  return reinterpret_cast<const uint64_t*>(value.GetTensorData<int64_t>());
}

class SampleKernel {
 public:
  static constexpr const char* kProvider = kCuda;
  explicit SampleKernel(const OrtKernelInfo* info) : stream_(noise_stream_of(info)) {}

  OrtStatusPtr ComputeV2(OrtKernelContext* raw) {
    return ort_status([&] {
      const Ort::KernelContext context(raw);
      const SampleOperands given(context);
      auto h = context.GetOutput(0, given.shape);
      launched(cuda_ops().reparametrized_sample(
          given.mu.GetTensorData<float>(), given.logvar.GetTensorData<float>(), number(given.seed),
          number(given.first), stream_, given.rows(), given.width(), Real::kFloat32,
          h.GetTensorMutableData<float>(), context.GetGPUComputeStream()));
    });
  }

 private:
  const uint32_t stream_;
};

class InterpolateKernel {
 public:
  static constexpr const char* kProvider = kCuda;
  explicit InterpolateKernel(const OrtKernelInfo* info) : mode_(interpolation_of(info)) {}

  OrtStatusPtr ComputeV2(OrtKernelContext* raw) {
    return ort_status([&] {
      const Ort::KernelContext context(raw);
      const InterpolateOperands given(context);
      auto h = context.GetOutput(0, given.shape);
      launched(cuda_ops().batched_interpolate(
          given.a.GetTensorData<float>(), given.b.GetTensorData<float>(),
          given.t.GetTensorData<float>(), mode_, given.rows(), given.steps(), given.width(),
          Real::kFloat32, h.GetTensorMutableData<float>(), context.GetGPUComputeStream()));
    });
  }

 private:
  const Interpolation mode_;
};

}  // namespace

OrtCustomOpDomain* cuda_custom_op_domain() {
  static OrtCustomOpDomain* const domain = make_custom_op_domain<SampleKernel, InterpolateKernel>();
  return domain;
}

}  // namespace zoo
