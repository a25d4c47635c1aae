// BatchedInterpolate(a[N,D], b[N,D], t[S]) -> h[N,S,D], see ops/batched_interpolate.h. Fields: mode
// ("linear" or "spherical") and output_type.

#include <stdexcept>

#include "ops/cuda_launch.h"
#include "plugins/plugin.h"

namespace zoo::plugins {
namespace {

using nvinfer1::DataType;

constexpr const char* kName = "BatchedInterpolate";

class InterpolatePlugin final : public Plugin {
 public:
  explicit InterpolatePlugin(std::vector<Attribute> attributes)
      : Plugin(kName, {DataType::kFLOAT, DataType::kFLOAT, DataType::kFLOAT},
               std::move(attributes)) {
    if (attribute("mode") != 0 && attribute("mode") != 1) {
      throw std::invalid_argument("field mode: expected 0 (linear) or 1 (spherical)");
    }
  }

  IPluginV3* clone() noexcept override {
    return guarded<IPluginV3*>(kName, nullptr, [&] { return new InterpolatePlugin(*this); });
  }

 protected:
  void set_output_shape(const nvinfer1::DimsExprs* inputs,
                        nvinfer1::DimsExprs* output) const override {
    if (inputs[0].nbDims != 2 || inputs[2].nbDims != 1) {
      throw std::invalid_argument("expected a [N, D], b [N, D] and t [S]");
    }
    output->nbDims = 3;
    output->d[0] = inputs[0].d[0];
    output->d[1] = inputs[2].d[0];
    output->d[2] = inputs[0].d[1];
  }

  void check_shapes(const nvinfer1::PluginTensorDesc* in) const override {
    const nvinfer1::Dims &a = in[0].dims, &b = in[1].dims;
    if (a.nbDims == 2 && b.nbDims == 2 && a.d[0] == b.d[0] && a.d[1] == b.d[1]) return;
    throw std::invalid_argument("a and b: expected the same shape [N, D]");
  }

  const char* launch(const nvinfer1::PluginTensorDesc* in, const void* const* inputs, void* output,
                     cudaStream_t stream) const override {
    return launch_interpolate(
        static_cast<const float*>(inputs[0]), static_cast<const float*>(inputs[1]),
        static_cast<const float*>(inputs[2]),
        attribute("mode") == 1 ? Interpolation::kSpherical : Interpolation::kLinear,
        static_cast<size_t>(in[0].dims.d[0]), static_cast<size_t>(in[2].dims.d[0]),
        static_cast<size_t>(in[0].dims.d[1]), output_type(), output, stream);
  }
};

class InterpolateCreator final : public Creator {
 public:
  InterpolateCreator() : Creator(kName, {{"mode", 0}, {"output_type", 0}}) {}

 protected:
  nvinfer1::IPluginV3* make(std::vector<Attribute> attributes) const override {
    return new InterpolatePlugin(std::move(attributes));
  }
  int32_t parse_text(const std::string& attribute, const std::string& text) const override {
    if (attribute == "mode" && text == "linear") return 0;
    if (attribute == "mode" && text == "spherical") return 1;
    throw std::invalid_argument("field " + attribute + ": got '" + text +
                                "'; mode is linear or spherical");
  }
};

}  // namespace

Creator& batched_interpolate_creator() {
  static InterpolateCreator creator;
  return creator;
}

}  // namespace zoo::plugins
