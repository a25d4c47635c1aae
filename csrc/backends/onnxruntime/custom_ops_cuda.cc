// The two operators on a GPU: the kernels of libzoo_cuda, on the stream of ONNX Runtime's CUDA
// provider. All operands, the seed and the index too, are in the device's memory, so that a CUDA
// graph of a run can be replayed for other images.
#include "backends/cuda/library.h"
#include "backends/onnxruntime/custom_op_kinds.h"

namespace zoo {
namespace {

void check_launch(const char* failure) {
  if (failure) throw Ort::Exception(failure, ORT_FAIL);
}

struct Cuda {
  static constexpr const char* kProvider = "CUDAExecutionProvider";

  static const uint64_t* number(const Ort::ConstValue& value) {
    return reinterpret_cast<const uint64_t*>(value.GetTensorData<int64_t>());
  }

  static void sample(const Ort::KernelContext& context, const SampleOperands& given,
                     uint32_t stream, float* h) {
    check_launch(cuda_ops().reparametrized_sample(
        given.mu.GetTensorData<float>(), given.logvar.GetTensorData<float>(), number(given.seed),
        number(given.first), stream, given.rows(), given.width(), Real::kFloat32, h,
        context.GetGPUComputeStream()));
  }

  static void interpolate(const Ort::KernelContext& context, const InterpolateOperands& given,
                          Interpolation mode, float* h) {
    check_launch(cuda_ops().batched_interpolate(
        given.a.GetTensorData<float>(), given.b.GetTensorData<float>(),
        given.t.GetTensorData<float>(), mode, given.rows(), given.steps(), given.width(),
        Real::kFloat32, h, context.GetGPUComputeStream()));
  }
};

}  // namespace

OrtCustomOpDomain* cuda_custom_op_domain() {
  static OrtCustomOpDomain* const domain = make_custom_op_domain<Cuda>();
  return domain;
}

}  // namespace zoo
