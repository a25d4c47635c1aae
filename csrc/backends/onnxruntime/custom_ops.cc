// The two operators as ONNX Runtime custom operators on the CPU, for our own
// sessions and, through RegisterCustomOps, for anybody's.

#include <cstring>
#include <string>
#include <vector>

#include "backends/onnxruntime/ort_api.h"
#include "ops/batched_interpolate.h"
#include "ops/reparametrized_sample.h"
#include "zoo/export.h"

namespace zoo {
namespace {

std::vector<int64_t> shape_of(const Ort::ConstValue& value) {
  return value.GetTensorTypeAndShapeInfo().GetShape();
}

void require(bool condition, const char* message) {
  if (!condition) throw Ort::Exception(message, ORT_INVALID_ARGUMENT);
}

// Attributes are optional in the operators; the C API reports absence as an error.
int64_t int_attribute(const OrtKernelInfo* info, const char* name, int64_t otherwise) {
  int64_t value = otherwise;
  if (OrtStatus* status = Ort::GetApi().KernelInfoGetAttribute_int64(info, name, &value)) {
    Ort::GetApi().ReleaseStatus(status);
    return otherwise;
  }
  return value;
}

std::string string_attribute(const OrtKernelInfo* info, const char* name, const char* otherwise) {
  size_t size = 0;
  OrtStatus* status = Ort::GetApi().KernelInfoGetAttribute_string(info, name, nullptr, &size);
  if (status) Ort::GetApi().ReleaseStatus(status);
  if (size == 0) return otherwise;
  std::string value(size, '\0');
  Ort::ThrowOnError(Ort::GetApi().KernelInfoGetAttribute_string(info, name, value.data(), &size));
  value.resize(std::strlen(value.c_str()));
  return value;
}

class ReparametrizedSampleKernel {
 public:
  explicit ReparametrizedSampleKernel(const OrtKernelInfo* info)
      : stream_(static_cast<uint32_t>(int_attribute(info, "stream", 0))) {}

  void Compute(OrtKernelContext* raw) {
    const Ort::KernelContext context(raw);
    const auto mu = context.GetInput(0);
    const auto logvar = context.GetInput(1);
    const auto shape = shape_of(mu);
    require(shape.size() == 2 && shape_of(logvar) == shape,
            "ReparametrizedSample: mu and logvar must both be [N, D]");
    const NoiseKey key{scalar(context, 2), scalar(context, 3), stream_};
    auto h = context.GetOutput(0, shape);
    reparametrized_sample(mu.GetTensorData<float>(), logvar.GetTensorData<float>(), key,
                          static_cast<size_t>(shape[0]), static_cast<size_t>(shape[1]),
                          h.GetTensorMutableData<float>());
  }

 private:
  static uint64_t scalar(const Ort::KernelContext& context, size_t index) {
    const auto value = context.GetInput(index);
    require(value.GetTensorTypeAndShapeInfo().GetElementCount() == 1,
            "ReparametrizedSample: seed and first must have one element");
    return static_cast<uint64_t>(*value.GetTensorData<int64_t>());
  }

  const uint32_t stream_;
};

class BatchedInterpolateKernel {
 public:
  explicit BatchedInterpolateKernel(const OrtKernelInfo* info) {
    const std::string mode = string_attribute(info, "mode", "linear");
    require(mode == "linear" || mode == "spherical",
            "BatchedInterpolate: mode must be linear or spherical");
    mode_ = mode == "linear" ? Interpolation::kLinear : Interpolation::kSpherical;
  }

  void Compute(OrtKernelContext* raw) {
    const Ort::KernelContext context(raw);
    const auto a = context.GetInput(0);
    const auto b = context.GetInput(1);
    const auto t = context.GetInput(2);
    const auto shape = shape_of(a);
    const auto steps = shape_of(t);
    require(shape.size() == 2 && shape_of(b) == shape && steps.size() == 1,
            "BatchedInterpolate: a and b must be [N, D], t must be [S]");
    auto h = context.GetOutput(0, {shape[0], steps[0], shape[1]});
    batched_interpolate(a.GetTensorData<float>(), b.GetTensorData<float>(),
                        t.GetTensorData<float>(), mode_, static_cast<size_t>(shape[0]),
                        static_cast<size_t>(steps[0]), static_cast<size_t>(shape[1]),
                        h.GetTensorMutableData<float>());
  }

 private:
  Interpolation mode_ = Interpolation::kLinear;
};

struct ReparametrizedSampleOp
    : Ort::CustomOpBase<ReparametrizedSampleOp, ReparametrizedSampleKernel> {
  void* CreateKernel(const OrtApi&, const OrtKernelInfo* info) const {
    return new ReparametrizedSampleKernel(info);
  }
  const char* GetName() const { return "ReparametrizedSample"; }
  const char* GetExecutionProviderType() const { return "CPUExecutionProvider"; }
  size_t GetInputTypeCount() const { return 4; }
  ONNXTensorElementDataType GetInputType(size_t index) const {
    return index < 2 ? ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT : ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
  }
  size_t GetOutputTypeCount() const { return 1; }
  ONNXTensorElementDataType GetOutputType(size_t) const {
    return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
  }
};

struct BatchedInterpolateOp : Ort::CustomOpBase<BatchedInterpolateOp, BatchedInterpolateKernel> {
  void* CreateKernel(const OrtApi&, const OrtKernelInfo* info) const {
    return new BatchedInterpolateKernel(info);
  }
  const char* GetName() const { return "BatchedInterpolate"; }
  const char* GetExecutionProviderType() const { return "CPUExecutionProvider"; }
  size_t GetInputTypeCount() const { return 3; }
  ONNXTensorElementDataType GetInputType(size_t) const {
    return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
  }
  size_t GetOutputTypeCount() const { return 1; }
  ONNXTensorElementDataType GetOutputType(size_t) const {
    return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
  }
};

}  // namespace

OrtCustomOpDomain* custom_op_domain() {
  static OrtCustomOpDomain* const domain = [] {
    static const ReparametrizedSampleOp sample;
    static const BatchedInterpolateOp interpolate;
    OrtCustomOpDomain* made = nullptr;
    const OrtApi& api = Ort::GetApi();
    Ort::ThrowOnError(api.CreateCustomOpDomain("zoo", &made));
    Ort::ThrowOnError(api.CustomOpDomain_Add(made, &sample));
    Ort::ThrowOnError(api.CustomOpDomain_Add(made, &interpolate));
    return made;
  }();
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
