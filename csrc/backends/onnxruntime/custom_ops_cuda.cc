// The two operators on a GPU: the kernels of libzoo_cuda, on the stream of ONNX Runtime's CUDA
// provider. All operands, including seed and index, are in device memory, so that a CUDA graph of a
// run can be replayed for other images.
#include "backends/cuda/library.h"
#include "backends/onnxruntime/custom_op_kinds.h"

namespace zoo {
namespace {

void check_launch(const char* failure) {
  if (failure) throw Ort::Exception(failure, ORT_FAIL);
}

struct Cuda {
  static constexpr const char* kProvider = "CUDAExecutionProvider";

  static void run(const Ort::KernelContext& context, const SampleOperands& in, uint32_t stream,
                  float* h) {
    check_launch(cuda_ops().reparametrized_sample(
        in.mu.GetTensorData<float>(), in.logvar.GetTensorData<float>(), in.keys(stream), in.rows(),
        in.width(), Real::kFloat32, h, context.GetGPUComputeStream()));
  }

  static void run(const Ort::KernelContext& context, const InterpolateOperands& in,
                  Interpolation mode, float* h) {
    check_launch(cuda_ops().batched_interpolate(
        in.a.GetTensorData<float>(), in.b.GetTensorData<float>(), in.t.GetTensorData<float>(), mode,
        in.rows(), in.steps(), in.width(), Real::kFloat32, h, context.GetGPUComputeStream()));
  }
};

}  // namespace

OrtCustomOpDomain* cuda_custom_op_domain() {
  static OrtCustomOpDomain* const domain = make_custom_op_domain<Cuda>();
  return domain;
}

}  // namespace zoo
