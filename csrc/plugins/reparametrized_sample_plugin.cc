// ReparametrizedSample(mu[N,D], logvar[N,D], seed[K], first[K]) -> h[N,D], K = 1 or N, see
// ops/reparametrized_sample.h. Fields: stream and output_type.

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

 protected:
  void set_output_shape(const nvinfer1::DimsExprs* inputs,
                        nvinfer1::DimsExprs* output) const override {
    if (inputs[0].nbDims != 2) throw std::invalid_argument("mu: expected [N, D]");
    *output = inputs[0];
  }

  void check_shapes(const nvinfer1::PluginTensorDesc* in) const override {
    const nvinfer1::Dims &mu = in[0].dims, &logvar = in[1].dims;
    if (mu.nbDims != 2 || logvar.nbDims != 2 || mu.d[0] != logvar.d[0] || mu.d[1] != logvar.d[1]) {
      throw std::invalid_argument("mu and logvar: expected the same shape [N, D]");
    }
    const nvinfer1::Dims &seed = in[2].dims, &first = in[3].dims;
    const bool same = seed.nbDims == 1 && first.nbDims == 1 && seed.d[0] == first.d[0];
    if (!same || (seed.d[0] != 1 && seed.d[0] != mu.d[0])) {
      throw std::invalid_argument("seed and first: expected the shape [1] or [N]");
    }
  }

  const char* launch(const nvinfer1::PluginTensorDesc* in, const void* const* inputs, void* output,
                     cudaStream_t stream) const override {
    const NoiseKeys keys{static_cast<const uint64_t*>(inputs[2]),
                         static_cast<const uint64_t*>(inputs[3]), in[2].dims.d[0] != 1,
                         static_cast<uint32_t>(attribute("stream"))};
    return launch_sample(static_cast<const float*>(inputs[0]), static_cast<const float*>(inputs[1]),
                         keys, static_cast<size_t>(in[0].dims.d[0]),
                         static_cast<size_t>(in[0].dims.d[1]), output_type(), output, stream);
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
