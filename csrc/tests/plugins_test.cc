// The TensorRT plugins, called like TensorRT does, with kernels on the CPU.

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "ops/cuda_launch.h"
#include "ops/half_float.h"
#include "plugins/plugin.h"
#include "tests/check.h"

extern "C" void setLoggerFinder(nvinfer1::ILoggerFinder* finder);
extern "C" nvinfer1::IPluginCreatorInterface* const* getCreators(int32_t& count);

namespace zoo {

namespace {
const char* next_failure = nullptr;

template <typename Out>
void store(const std::vector<float>& values, void* out) {
  for (size_t i = 0; i < values.size(); ++i) {
    static_cast<Out*>(out)[i] = from_float<Out>(values[i]);
  }
}

void store_as(Real real, const std::vector<float>& values, void* out) {
  if (real == Real::kFloat32) store<float>(values, out);
  if (real == Real::kFloat16) store<Float16>(values, out);
  if (real == Real::kBFloat16) store<BFloat16>(values, out);
}
}  // namespace

// These replace the launches of the CUDA kernels.
const char* launch_sample(const float* mu, const float* logvar, const NoiseKeys& keys, size_t rows,
                          size_t width, Real real, void* h, void*) {
  if (next_failure) return next_failure;
  std::vector<float> values(rows * width);
  reparametrized_sample(mu, logvar, keys, rows, width, values.data());
  store_as(real, values, h);
  return nullptr;
}

const char* launch_interpolate(const float* a, const float* b, const float* t, Interpolation mode,
                               size_t rows, size_t steps, size_t width, Real real, void* h, void*) {
  if (next_failure) return next_failure;
  std::vector<float> values(rows * steps * width);
  batched_interpolate(a, b, t, mode, rows, steps, width, values.data());
  store_as(real, values, h);
  return nullptr;
}

}  // namespace zoo

namespace {

using nvinfer1::DataType;
using nvinfer1::PluginCapabilityType;
using nvinfer1::PluginField;
using nvinfer1::PluginFieldType;
using Fields = std::vector<PluginField>;
using PluginPointer = std::unique_ptr<nvinfer1::IPluginV3>;

class Logger : public nvinfer1::ILogger {
 public:
  void log(Severity severity, const char* text) noexcept override {
    if (severity == Severity::kERROR) last_error = text;
  }
  std::string last_error;
};

class Finder : public nvinfer1::ILoggerFinder {
 public:
  nvinfer1::ILogger* findLogger() override { return &logger; }
  Logger logger;
};

Finder finder;

// Returns true if the error reported since the last call contains `part`.
bool reported(const char* part) {
  std::string text;
  std::swap(text, finder.logger.last_error);
  return text.find(part) != std::string::npos;
}

nvinfer1::IPluginCreatorV3One* find_creator(const std::string& name) {
  int32_t count = 0;
  nvinfer1::IPluginCreatorInterface* const* creators = getCreators(count);
  for (int32_t index = 0; index < count; ++index) {
    auto* creator = static_cast<nvinfer1::IPluginCreatorV3One*>(creators[index]);
    if (name == creator->getPluginName()) return creator;
  }
  return nullptr;
}

PluginPointer make(const char* name, const Fields& fields) {
  const nvinfer1::PluginFieldCollection collection{static_cast<int32_t>(fields.size()),
                                                   fields.data()};
  return PluginPointer(
      find_creator(name)->createPlugin("node", &collection, nvinfer1::TensorRTPhase::kBUILD));
}

template <typename Capability>
Capability* capability(const PluginPointer& plugin, PluginCapabilityType type) {
  return static_cast<Capability*>(plugin->getCapabilityInterface(type));
}

nvinfer1::IPluginV3OneBuild* build_part(const PluginPointer& plugin) {
  return capability<nvinfer1::IPluginV3OneBuild>(plugin, PluginCapabilityType::kBUILD);
}

nvinfer1::IPluginV3OneRuntime* runtime_part(const PluginPointer& plugin) {
  return capability<nvinfer1::IPluginV3OneRuntime>(plugin, PluginCapabilityType::kRUNTIME);
}

int32_t serialised_field(const PluginPointer& plugin, const std::string& name) {
  const auto* fields = runtime_part(plugin)->getFieldsToSerialize();
  for (int32_t index = 0; index < fields->nbFields; ++index) {
    const PluginField& field = fields->fields[index];
    if (name == field.name) return *static_cast<const int32_t*>(field.data);
  }
  return -1;
}

nvinfer1::PluginTensorDesc tensor(std::vector<int64_t> shape, DataType type) {
  nvinfer1::PluginTensorDesc desc{};
  desc.dims.nbDims = static_cast<int32_t>(shape.size());
  std::copy(shape.begin(), shape.end(), desc.dims.d);
  desc.type = type;
  desc.format = nvinfer1::TensorFormat::kLINEAR;
  return desc;
}

void creators() {
  int32_t count = 0;
  CHECK(getCreators(count) != nullptr && count == 2);
  for (const char* name : {"ReparametrizedSample", "BatchedInterpolate"}) {
    auto* creator = find_creator(name);
    CHECK(creator != nullptr);
    CHECK(std::string(creator->getPluginVersion()) == "1");
    CHECK(std::string(creator->getPluginNamespace()).empty());
    CHECK(creator->getFieldNames()->nbFields == 2);
    const PluginPointer plugin = make(name, {});
    CHECK(plugin != nullptr);
    auto* core = capability<nvinfer1::IPluginV3OneCore>(plugin, PluginCapabilityType::kCORE);
    CHECK(std::string(core->getPluginName()) == name);
    CHECK(plugin->getCapabilityInterface(static_cast<PluginCapabilityType>(9)) == nullptr);
    CHECK(reported("capability"));
    CHECK(build_part(plugin)->getNbOutputs() == 1);
  }
}

void fields() {
  const int32_t stream = 7, half = 1, seven = 7, negative = -1;
  const int64_t wide = 7, too_wide = int64_t{1} << 40;
  const float real = 1.0f;
  const auto plugin =
      make("ReparametrizedSample", {{"stream", &stream, PluginFieldType::kINT32, 1},
                                    {"output_type", &half, PluginFieldType::kINT32, 1},
                                    {"plugin_version", "1", PluginFieldType::kCHAR, 1}});
  CHECK(plugin != nullptr);
  CHECK(serialised_field(plugin, "stream") == 7 && serialised_field(plugin, "output_type") == 1);
  CHECK(make("ReparametrizedSample", {{"stream", &wide, PluginFieldType::kINT64, 1}}) != nullptr);
  const auto spherical =
      make("BatchedInterpolate", {{"mode", "spherical", PluginFieldType::kCHAR, 9}});
  CHECK(spherical && serialised_field(spherical, "mode") == 1);
  CHECK(serialised_field(
            make("BatchedInterpolate", {{"mode", "linear\0", PluginFieldType::kCHAR, 7}}),
            "mode") == 0);

  struct Bad {
    const char* name;
    PluginField field;
    const char* message;
  };
  const Bad bad[] = {
      {"ReparametrizedSample", {"steam", &seven, PluginFieldType::kINT32, 1}, "'steam'"},
      {"ReparametrizedSample", {nullptr, &seven, PluginFieldType::kINT32, 1}, "unknown field"},
      {"ReparametrizedSample", {"stream", nullptr, PluginFieldType::kINT32, 1}, "no data"},
      {"ReparametrizedSample", {"stream", &real, PluginFieldType::kFLOAT32, 1}, "integer"},
      {"ReparametrizedSample", {"stream", &too_wide, PluginFieldType::kINT64, 1}, "32 bits"},
      {"ReparametrizedSample", {"stream", &negative, PluginFieldType::kINT32, 1}, "0 or more"},
      {"ReparametrizedSample", {"stream", &seven, PluginFieldType::kINT32, 2}, "one number"},
      {"ReparametrizedSample", {"stream", "x", PluginFieldType::kCHAR, 1}, "got text"},
      {"ReparametrizedSample", {"output_type", &seven, PluginFieldType::kINT32, 1}, "got 7"},
      {"BatchedInterpolate", {"mode", "cubic", PluginFieldType::kCHAR, 5}, "'cubic'"},
      {"BatchedInterpolate", {"mode", &seven, PluginFieldType::kINT32, 1}, "spherical"},
  };
  for (const Bad& one : bad) {
    CHECK(make(one.name, {one.field}) == nullptr);
    CHECK(reported(one.message));
  }
}

void types_and_formats() {
  const DataType f = DataType::kFLOAT, i = DataType::kINT64;
  const DataType inputs[] = {f, f, i, i};
  const DataType wrong[] = {f, DataType::kHALF, i, i};
  const DataType outputs[] = {DataType::kFLOAT, DataType::kHALF, DataType::kBF16};
  for (int32_t real = 0; real < 3; ++real) {
    const auto plugin =
        make("ReparametrizedSample", {{"output_type", &real, PluginFieldType::kINT32, 1}});
    DataType type{};
    CHECK(build_part(plugin)->getOutputDataTypes(&type, 1, inputs, 4) == 0 &&
          type == outputs[real]);
    CHECK(build_part(plugin)->getOutputDataTypes(&type, 1, wrong, 4) != 0 && reported("input 1"));
    CHECK(build_part(plugin)->getOutputDataTypes(&type, 1, inputs, 3) != 0 && reported("4 inputs"));

    std::vector<nvinfer1::DynamicPluginTensorDesc> tensors(5);
    for (size_t position = 0; position < 5; ++position) {
      tensors[position].desc = tensor({-1, 64}, position < 4 ? inputs[position] : outputs[real]);
    }
    CHECK(build_part(plugin)->configurePlugin(tensors.data(), 4, &tensors[4], 1) == 0);
    for (int32_t position = 0; position < 5; ++position) {
      auto* build = build_part(plugin);
      const auto original = tensors[static_cast<size_t>(position)].desc;
      auto& desc = tensors[static_cast<size_t>(position)].desc;
      CHECK(build->supportsFormatCombination(position, tensors.data(), 4, 1));
      desc.format = nvinfer1::TensorFormat::kCHW32;
      CHECK(!build->supportsFormatCombination(position, tensors.data(), 4, 1));
      desc = original;
      desc.type = DataType::kINT32;
      CHECK(!build->supportsFormatCombination(position, tensors.data(), 4, 1));
      desc = original;
    }
    CHECK(!build_part(plugin)->supportsFormatCombination(5, tensors.data(), 4, 1));
  }
}

// Only their addresses matter here.
class Dimension : public nvinfer1::IDimensionExpr {};
class Builder : public nvinfer1::IExprBuilder {};

void shapes() {
  Dimension n, d, s, one;
  Builder expressions;
  nvinfer1::DimsExprs latent{}, steps{}, scalar{}, out{};
  latent.nbDims = 2;
  latent.d[0] = &n;
  latent.d[1] = &d;
  steps.nbDims = 1;
  steps.d[0] = &s;
  scalar.nbDims = 1;
  scalar.d[0] = &one;

  const auto sample = make("ReparametrizedSample", {});
  const nvinfer1::DimsExprs of_sample[] = {latent, latent, scalar, scalar};
  CHECK(build_part(sample)->getOutputShapes(of_sample, 4, nullptr, 0, &out, 1, expressions) == 0);
  CHECK(out.nbDims == 2 && out.d[0] == &n && out.d[1] == &d);
  const nvinfer1::DimsExprs flat[] = {scalar, latent, scalar, scalar};
  CHECK(build_part(sample)->getOutputShapes(flat, 4, nullptr, 0, &out, 1, expressions) != 0);
  CHECK(reported("[N, D]"));

  const auto between = make("BatchedInterpolate", {});
  const nvinfer1::DimsExprs of_between[] = {latent, latent, steps};
  CHECK(build_part(between)->getOutputShapes(of_between, 3, nullptr, 0, &out, 1, expressions) == 0);
  CHECK(out.nbDims == 3 && out.d[0] == &n && out.d[1] == &s && out.d[2] == &d);
  const nvinfer1::DimsExprs bad[] = {latent, latent, latent};
  CHECK(build_part(between)->getOutputShapes(bad, 3, nullptr, 0, &out, 1, expressions) != 0);
  CHECK(reported("t [S]"));

  const DataType f = DataType::kFLOAT;
  nvinfer1::PluginTensorDesc in[] = {tensor({3, 8}, f), tensor({3, 8}, f), tensor({5}, f)};
  CHECK(runtime_part(between)->onShapeChange(in, 3, nullptr, 1) == 0);
  in[1] = tensor({3, 9}, f);
  CHECK(runtime_part(between)->onShapeChange(in, 3, nullptr, 1) != 0 && reported("same shape"));
}

// Clones, attached plugins and those created from serialised fields compute the same.
template <typename Out>
void computes(int32_t real) {
  const size_t rows = 3, width = 10, steps = 4;
  const int32_t stream = 5;
  std::vector<float> mu(rows * width), logvar(rows * width), t{0.0f, 0.25f, 0.5f, 1.0f};
  for (size_t i = 0; i < mu.size(); ++i) {
    mu[i] = static_cast<float>(i) / 7;
    logvar[i] = -static_cast<float>(i) / 9;
  }
  const int64_t seed = -3, first = 12;
  const DataType f = DataType::kFLOAT;

  const auto original =
      make("ReparametrizedSample", {{"stream", &stream, PluginFieldType::kINT32, 1},
                                    {"output_type", &real, PluginFieldType::kINT32, 1}});
  const PluginPointer clone(original->clone());
  const PluginPointer attached(runtime_part(clone)->attachToContext(nullptr));
  const auto* fields = runtime_part(attached)->getFieldsToSerialize();
  const PluginPointer again(find_creator("ReparametrizedSample")
                                ->createPlugin("node", fields, nvinfer1::TensorRTPhase::kRUNTIME));
  std::vector<float> expected(rows * width);
  zoo::reparametrized_sample(mu.data(), logvar.data(),
                             {static_cast<uint64_t>(seed), 12, static_cast<uint32_t>(stream)}, rows,
                             width, expected.data());
  const nvinfer1::PluginTensorDesc in[] = {tensor({3, 10}, f), tensor({3, 10}, f),
                                           tensor({1}, DataType::kINT64),
                                           tensor({1}, DataType::kINT64)};
  const void* inputs[] = {mu.data(), logvar.data(), &seed, &first};
  for (const PluginPointer* plugin : {&original, &clone, &attached, &again}) {
    std::vector<Out> h(rows * width);
    void* outputs[] = {h.data()};
    CHECK(runtime_part(*plugin)->onShapeChange(in, 4, nullptr, 1) == 0);
    CHECK(runtime_part(*plugin)->enqueue(in, nullptr, inputs, outputs, nullptr, nullptr) == 0);
    bool equal = true;
    for (size_t i = 0; i < h.size(); ++i) {
      const Out rounded = zoo::from_float<Out>(expected[i]);
      equal = equal && std::memcmp(&h[i], &rounded, sizeof(Out)) == 0;
    }
    CHECK(equal);
  }

  // With a key for each row.
  const uint64_t seeds[] = {7, 1, ~uint64_t{0}}, firsts[] = {5, ~uint64_t{0}, 6};
  zoo::reparametrized_sample(mu.data(), logvar.data(),
                             zoo::NoiseKeys{seeds, firsts, true, static_cast<uint32_t>(stream)},
                             rows, width, expected.data());
  nvinfer1::PluginTensorDesc keyed[] = {in[0], in[1], tensor({3}, DataType::kINT64),
                                        tensor({3}, DataType::kINT64)};
  const void* keyed_inputs[] = {mu.data(), logvar.data(), seeds, firsts};
  std::vector<Out> keyed_h(rows * width);
  void* keyed_outputs[] = {keyed_h.data()};
  auto* runtime = runtime_part(original);
  CHECK(runtime->onShapeChange(keyed, 4, nullptr, 1) == 0);
  CHECK(runtime->enqueue(keyed, nullptr, keyed_inputs, keyed_outputs, nullptr, nullptr) == 0);
  bool same = true;
  for (size_t i = 0; i < keyed_h.size(); ++i) {
    const Out rounded = zoo::from_float<Out>(expected[i]);
    same = same && std::memcmp(&keyed_h[i], &rounded, sizeof(Out)) == 0;
  }
  CHECK(same);
  keyed[3] = tensor({1}, DataType::kINT64);
  CHECK(runtime->onShapeChange(keyed, 4, nullptr, 1) != 0 && reported("[1] or [N]"));
  keyed[2] = keyed[3] = tensor({2}, DataType::kINT64);
  CHECK(runtime->onShapeChange(keyed, 4, nullptr, 1) != 0 && reported("[1] or [N]"));

  const int32_t spherical = 1;
  const auto between =
      make("BatchedInterpolate", {{"mode", &spherical, PluginFieldType::kINT32, 1},
                                  {"output_type", &real, PluginFieldType::kINT32, 1}});
  std::vector<float> expected_path(rows * steps * width);
  zoo::batched_interpolate(mu.data(), logvar.data(), t.data(), zoo::Interpolation::kSpherical, rows,
                           steps, width, expected_path.data());
  const nvinfer1::PluginTensorDesc ends[] = {tensor({3, 10}, f), tensor({3, 10}, f),
                                             tensor({4}, f)};
  const void* operands[] = {mu.data(), logvar.data(), t.data()};
  std::vector<Out> path(expected_path.size());
  void* outputs[] = {path.data()};
  CHECK(runtime_part(between)->enqueue(ends, nullptr, operands, outputs, nullptr, nullptr) == 0);
  bool equal = true;
  for (size_t i = 0; i < path.size(); ++i) {
    const Out rounded = zoo::from_float<Out>(expected_path[i]);
    equal = equal && std::memcmp(&path[i], &rounded, sizeof(Out)) == 0;
  }
  CHECK(equal);
}

void failures() {
  const auto plugin = make("ReparametrizedSample", {});
  zoo::next_failure = "cudaErrorIllegalAddress";
  const nvinfer1::PluginTensorDesc in[4] = {tensor({1, 4}, DataType::kFLOAT)};
  const void* inputs[4] = {};
  void* outputs[1] = {};
  CHECK(runtime_part(plugin)->enqueue(in, nullptr, inputs, outputs, nullptr, nullptr) != 0);
  CHECK(reported("cudaErrorIllegalAddress"));
  zoo::next_failure = nullptr;
  // Without a logger, the message goes to standard error.
  setLoggerFinder(nullptr);
  CHECK(make("BatchedInterpolate", {{"mode", "x", PluginFieldType::kCHAR, 1}}) == nullptr);
}

}  // namespace

int main() {
  setLoggerFinder(&finder);
  creators();
  fields();
  types_and_formats();
  shapes();
  computes<float>(0);
  computes<zoo::Float16>(1);
  computes<zoo::BFloat16>(2);
  failures();
  return zoo::test::report();
}
