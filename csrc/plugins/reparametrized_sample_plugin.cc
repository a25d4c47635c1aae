// ReparametrizedSample(mu[N,D], logvar[N,D], seed[1], first[1]) -> h[N,D], as
// ops/reparametrized_sample.h; the fields: stream, and output_type.

#include <stdexcept>

#include "ops/cuda_launch.h"
#include "plugins/plugin.h"

namespace zoo::plugins {
namespace {

using nvinfer1::DataType;

constexpr const char* kName = "ReparametrizedSample";

class SamplePlugin final : public Plugin {
 public:
  explicit SamplePlugin(std::vector<Attribute> attributes)
      : Plugin(kName, {DataType::kFLOAT, DataType::kFLOAT, DataType::kINT64, DataType::kINT64},
               std::move(attributes)) {
    if (attribute("stream") < 0) throw std::invalid_argument("field stream: expected 0 or more");
  }

  IPluginV3* clone() noexcept override {
    return guarded<IPluginV3*>(kName, nullptr, [&] { return new SamplePlugin(*this); });
  }

  int32_t getOutputShapes(const nvinfer1::DimsExprs* inputs, int32_t count,
                          const nvinfer1::DimsExprs*, int32_t, nvinfer1::DimsExprs* outputs,
                          int32_t, nvinfer1::IExprBuilder&) noexcept override {
    return guarded(kName, 1, [&] {
      check_inputs(count);
      if (inputs[0].nbDims != 2) throw std::invalid_argument("mu: expected [N, D]");
      outputs[0] = inputs[0];
      return 0;
    });
  }

  int32_t onShapeChange(const nvinfer1::PluginTensorDesc* in, int32_t count,
                        const nvinfer1::PluginTensorDesc*, int32_t) noexcept override {
    return guarded(kName, 1, [&] {
      check_inputs(count);
      for (const int axis : {0, 1}) {
        if (in[0].dims.nbDims != 2 || in[1].dims.nbDims != 2 ||
            in[0].dims.d[axis] != in[1].dims.d[axis]) {
          throw std::invalid_argument("mu and logvar: expected the same shape [N, D]");
        }
      }
      return 0;
    });
  }

  int32_t enqueue(const nvinfer1::PluginTensorDesc* in, const nvinfer1::PluginTensorDesc*,
                  const void* const* inputs, void* const* outputs, void*,
                  cudaStream_t stream) noexcept override {
    return guarded(kName, 1, [&] {
      return result(launch_sample(
          static_cast<const float*>(inputs[0]), static_cast<const float*>(inputs[1]),
          static_cast<const uint64_t*>(inputs[2]), static_cast<const uint64_t*>(inputs[3]),
          static_cast<uint32_t>(attribute("stream")), static_cast<size_t>(in[0].dims.d[0]),
          static_cast<size_t>(in[0].dims.d[1]), output_type(), outputs[0], stream));
    });
  }
};

class SampleCreator final : public Creator {
 public:
  SampleCreator() : Creator(kName, {{"stream", 0}, {"output_type", 0}}) {}

 protected:
  nvinfer1::IPluginV3* make(std::vector<Attribute> attributes) const override {
    return new SamplePlugin(std::move(attributes));
  }
};

}  // namespace

Creator& reparametrized_sample_creator() {
  static SampleCreator creator;
  return creator;
}

}  // namespace zoo::plugins
