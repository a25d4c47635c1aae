// The two operators as custom operators of ONNX Runtime, for any device.
#pragma once

#include <cstdint>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "backends/onnxruntime/ort_api.h"
#include "ops/batched_interpolate.h"
#include "ops/reparametrized_sample.h"

namespace zoo {

inline void require(bool condition, const char* message) {
  if (!condition) throw Ort::Exception(message, ORT_INVALID_ARGUMENT);
}

// Returns the status of call() to the C API, which exceptions must not cross.
template <typename Call>
OrtStatusPtr ort_status(const Call& call) {
  try {
    call();
    return nullptr;
  } catch (const Ort::Exception& error) {
    return Ort::GetApi().CreateStatus(error.GetOrtErrorCode(), error.what());
  } catch (const std::exception& error) {
    return Ort::GetApi().CreateStatus(ORT_FAIL, error.what());
  }
}

// The attributes of the operators are optional; the C API reports absence as an error.
inline uint32_t read_stream(const OrtKernelInfo* info) {
  int64_t value = 0;
  if (OrtStatus* status = Ort::GetApi().KernelInfoGetAttribute_int64(info, "stream", &value)) {
    Ort::GetApi().ReleaseStatus(status);
    return 0;
  }
  return static_cast<uint32_t>(value);
}

inline Interpolation read_mode(const OrtKernelInfo* info) {
  const OrtApi& api = Ort::GetApi();
  size_t size = 0;
  OrtStatus* status = api.KernelInfoGetAttribute_string(info, "mode", nullptr, &size);
  if (status) api.ReleaseStatus(status);
  if (size == 0) return Interpolation::kLinear;
  std::string mode(size, '\0');
  Ort::ThrowOnError(api.KernelInfoGetAttribute_string(info, "mode", mode.data(), &size));
  mode.resize(std::strlen(mode.c_str()));
  require(mode == "linear" || mode == "spherical",
          "BatchedInterpolate: mode must be linear or spherical");
  return mode == "linear" ? Interpolation::kLinear : Interpolation::kSpherical;
}

using OrtShape = std::vector<int64_t>;

// Operands and attribute of ReparametrizedSample. The data are in the memory of the kernel's
// device.
struct SampleOperands {
  static constexpr auto read_attribute = read_stream;

  explicit SampleOperands(const Ort::KernelContext& context)
      : mu(context.GetInput(0)),
        logvar(context.GetInput(1)),
        seed(context.GetInput(2)),
        first(context.GetInput(3)),
        shape(mu.GetTensorTypeAndShapeInfo().GetShape()) {
    require(shape.size() == 2 && logvar.GetTensorTypeAndShapeInfo().GetShape() == shape,
            "ReparametrizedSample: mu and logvar must both be [N, D]");
    const size_t keys = seed.GetTensorTypeAndShapeInfo().GetElementCount();
    require(first.GetTensorTypeAndShapeInfo().GetElementCount() == keys &&
                (keys == 1 || keys == rows()),
            "ReparametrizedSample: seed and first must both have one element, or one for each row");
    per_row = keys != 1;
  }

  size_t rows() const { return static_cast<size_t>(shape[0]); }
  size_t width() const { return static_cast<size_t>(shape[1]); }

  NoiseKeys keys(uint32_t stream) const {
    const auto data = [](const Ort::ConstValue& value) {
      return reinterpret_cast<const uint64_t*>(value.GetTensorData<int64_t>());
    };
    return {data(seed), data(first), per_row, stream};
  }

  const Ort::ConstValue mu;
  const Ort::ConstValue logvar;
  const Ort::ConstValue seed;
  const Ort::ConstValue first;
  const OrtShape shape;
  bool per_row = false;
};

struct InterpolateOperands {
  static constexpr auto read_attribute = read_mode;

  explicit InterpolateOperands(const Ort::KernelContext& context)
      : a(context.GetInput(0)), b(context.GetInput(1)), t(context.GetInput(2)) {
    const OrtShape ends = a.GetTensorTypeAndShapeInfo().GetShape();
    const OrtShape steps = t.GetTensorTypeAndShapeInfo().GetShape();
    require(
        ends.size() == 2 && b.GetTensorTypeAndShapeInfo().GetShape() == ends && steps.size() == 1,
        "BatchedInterpolate: a and b must be [N, D], t must be [S]");
    shape = {ends[0], steps[0], ends[1]};
  }

  size_t rows() const { return static_cast<size_t>(shape[0]); }
  size_t steps() const { return static_cast<size_t>(shape[1]); }
  size_t width() const { return static_cast<size_t>(shape[2]); }

  const Ort::ConstValue a;
  const Ort::ConstValue b;
  const Ort::ConstValue t;
  OrtShape shape;
};

// Device: the name of its execution provider as kProvider, and run(context, operands, attribute,
// output) for the operands of either operator.
template <typename Device, typename Operands>
class OperatorKernel {
 public:
  static constexpr const char* kProvider = Device::kProvider;
  explicit OperatorKernel(const OrtKernelInfo* info) : attribute_(Operands::read_attribute(info)) {}

  OrtStatusPtr ComputeV2(OrtKernelContext* raw) {
    return ort_status([&] {
      const Ort::KernelContext context(raw);
      const Operands operands(context);
      auto h = context.GetOutput(0, operands.shape);
      Device::run(context, operands, attribute_, h.template GetTensorMutableData<float>());
    });
  }

 private:
  const decltype(Operands::read_attribute(nullptr)) attribute_;
};

template <typename Op, typename Kernel>
struct CustomOp : Ort::CustomOpBase<Op, Kernel, /*WithStatus=*/true> {
  OrtStatusPtr CreateKernelV2(const OrtApi&, const OrtKernelInfo* info, void** kernel) const {
    return ort_status([&] { *kernel = new Kernel(info); });
  }
  const char* GetExecutionProviderType() const { return Kernel::kProvider; }
  size_t GetOutputTypeCount() const { return 1; }
  ONNXTensorElementDataType GetOutputType(size_t) const {
    return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
  }
};

template <typename Device>
struct ReparametrizedSampleOp
    : CustomOp<ReparametrizedSampleOp<Device>, OperatorKernel<Device, SampleOperands>> {
  const char* GetName() const { return "ReparametrizedSample"; }
  size_t GetInputTypeCount() const { return 4; }
  ONNXTensorElementDataType GetInputType(size_t index) const {
    return index < 2 ? ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT : ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
  }
};

template <typename Device>
struct BatchedInterpolateOp
    : CustomOp<BatchedInterpolateOp<Device>, OperatorKernel<Device, InterpolateOperands>> {
  const char* GetName() const { return "BatchedInterpolate"; }
  size_t GetInputTypeCount() const { return 3; }
  ONNXTensorElementDataType GetInputType(size_t) const {
    return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
  }
};

// Creates the domain "zoo". Never released, because sessions may use it until the process exits.
template <typename Device>
OrtCustomOpDomain* make_custom_op_domain() {
  static const ReparametrizedSampleOp<Device> sample;
  static const BatchedInterpolateOp<Device> interpolate;
  OrtCustomOpDomain* domain = nullptr;
  const OrtApi& api = Ort::GetApi();
  Ort::ThrowOnError(api.CreateCustomOpDomain("zoo", &domain));
  Ort::ThrowOnError(api.CustomOpDomain_Add(domain, &sample));
  Ort::ThrowOnError(api.CustomOpDomain_Add(domain, &interpolate));
  return domain;
}

}  // namespace zoo
