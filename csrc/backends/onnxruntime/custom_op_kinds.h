// The two operators as ONNX Runtime custom operators, whatever device their kernels are for.
#pragma once

#include <cstdint>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "backends/onnxruntime/ort_api.h"
#include "ops/batched_interpolate.h"

namespace zoo {

inline void require(bool condition, const char* message) {
  if (!condition) throw Ort::Exception(message, ORT_INVALID_ARGUMENT);
}

// Runs call() behind the C API, which exceptions must not cross.
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

// Attributes are optional in the operators; the C API reports absence as an error.
inline uint32_t noise_stream_of(const OrtKernelInfo* info) {
  int64_t value = 0;
  if (OrtStatus* status = Ort::GetApi().KernelInfoGetAttribute_int64(info, "stream", &value)) {
    Ort::GetApi().ReleaseStatus(status);
    return 0;
  }
  return static_cast<uint32_t>(value);
}

inline Interpolation interpolation_of(const OrtKernelInfo* info) {
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

// What a kernel of ReparametrizedSample gets: pointers into its device's memory.
struct SampleOperands {
  explicit SampleOperands(const Ort::KernelContext& context)
      : mu(context.GetInput(0)),
        logvar(context.GetInput(1)),
        seed(context.GetInput(2)),
        first(context.GetInput(3)),
        shape(mu.GetTensorTypeAndShapeInfo().GetShape()) {
    require(shape.size() == 2 && logvar.GetTensorTypeAndShapeInfo().GetShape() == shape,
            "ReparametrizedSample: mu and logvar must both be [N, D]");
    for (const auto& key : {seed, first}) {
      require(key.GetTensorTypeAndShapeInfo().GetElementCount() == 1,
              "ReparametrizedSample: seed and first must have one element");
    }
  }

  size_t rows() const { return static_cast<size_t>(shape[0]); }
  size_t width() const { return static_cast<size_t>(shape[1]); }

  const Ort::ConstValue mu;
  const Ort::ConstValue logvar;
  const Ort::ConstValue seed;
  const Ort::ConstValue first;
  const OrtShape shape;
};

struct InterpolateOperands {
  explicit InterpolateOperands(const Ort::KernelContext& context)
      : a(context.GetInput(0)), b(context.GetInput(1)), t(context.GetInput(2)) {
    const OrtShape from = a.GetTensorTypeAndShapeInfo().GetShape();
    const OrtShape along = t.GetTensorTypeAndShapeInfo().GetShape();
    require(
        from.size() == 2 && b.GetTensorTypeAndShapeInfo().GetShape() == from && along.size() == 1,
        "BatchedInterpolate: a and b must be [N, D], t must be [S]");
    shape = {from[0], along[0], from[1]};
  }

  size_t rows() const { return static_cast<size_t>(shape[0]); }
  size_t steps() const { return static_cast<size_t>(shape[1]); }
  size_t width() const { return static_cast<size_t>(shape[2]); }

  const Ort::ConstValue a;
  const Ort::ConstValue b;
  const Ort::ConstValue t;
  OrtShape shape;
};

// Device: its execution provider as kProvider, and
// sample(context, operands, noise stream, output) and interpolate(context, operands, mode, output).
template <typename Device>
class SampleKernel {
 public:
  static constexpr const char* kProvider = Device::kProvider;
  explicit SampleKernel(const OrtKernelInfo* info) : stream_(noise_stream_of(info)) {}

  OrtStatusPtr ComputeV2(OrtKernelContext* raw) {
    return ort_status([&] {
      const Ort::KernelContext context(raw);
      const SampleOperands given(context);
      auto h = context.GetOutput(0, given.shape);
      Device::sample(context, given, stream_, h.template GetTensorMutableData<float>());
    });
  }

 private:
  const uint32_t stream_;
};

template <typename Device>
class InterpolateKernel {
 public:
  static constexpr const char* kProvider = Device::kProvider;
  explicit InterpolateKernel(const OrtKernelInfo* info) : mode_(interpolation_of(info)) {}

  OrtStatusPtr ComputeV2(OrtKernelContext* raw) {
    return ort_status([&] {
      const Ort::KernelContext context(raw);
      const InterpolateOperands given(context);
      auto h = context.GetOutput(0, given.shape);
      Device::interpolate(context, given, mode_, h.template GetTensorMutableData<float>());
    });
  }

 private:
  const Interpolation mode_;
};

template <typename Op, typename Kernel>
struct KindOfCustomOp : Ort::CustomOpBase<Op, Kernel, /*WithStatus=*/true> {
  OrtStatusPtr CreateKernelV2(const OrtApi&, const OrtKernelInfo* info, void** kernel) const {
    return ort_status([&] { *kernel = new Kernel(info); });
  }
  const char* GetExecutionProviderType() const { return Kernel::kProvider; }
  size_t GetOutputTypeCount() const { return 1; }
  ONNXTensorElementDataType GetOutputType(size_t) const {
    return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
  }
};

template <typename Kernel>
struct ReparametrizedSampleOp : KindOfCustomOp<ReparametrizedSampleOp<Kernel>, Kernel> {
  const char* GetName() const { return "ReparametrizedSample"; }
  size_t GetInputTypeCount() const { return 4; }
  ONNXTensorElementDataType GetInputType(size_t index) const {
    return index < 2 ? ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT : ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
  }
};

template <typename Kernel>
struct BatchedInterpolateOp : KindOfCustomOp<BatchedInterpolateOp<Kernel>, Kernel> {
  const char* GetName() const { return "BatchedInterpolate"; }
  size_t GetInputTypeCount() const { return 3; }
  ONNXTensorElementDataType GetInputType(size_t) const {
    return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
  }
};

// Never given back: sessions that use it may outlive any order of exit.
template <typename Device>
OrtCustomOpDomain* make_custom_op_domain() {
  static const ReparametrizedSampleOp<SampleKernel<Device>> sample;
  static const BatchedInterpolateOp<InterpolateKernel<Device>> interpolate;
  OrtCustomOpDomain* made = nullptr;
  const OrtApi& api = Ort::GetApi();
  Ort::ThrowOnError(api.CreateCustomOpDomain("zoo", &made));
  Ort::ThrowOnError(api.CustomOpDomain_Add(made, &sample));
  Ort::ThrowOnError(api.CustomOpDomain_Add(made, &interpolate));
  return made;
}

}  // namespace zoo
