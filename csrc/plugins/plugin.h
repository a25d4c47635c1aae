// What the two TensorRT plugins share: an IPluginV3 with one output, whose inputs
// and output are linear tensors of fixed types.
//
// TensorRT calls from C++ compiled by others: nothing is thrown to it. What fails is
// reported to its logger, and the call says so by its result.
#pragma once

#include <NvInferRuntime.h>

#include <exception>
#include <string>
#include <vector>

#include "ops/cuda_ops.h"

namespace zoo::plugins {

constexpr const char* kVersion = "1";
// None: the ONNX parser looks there for an operator that it does not know.
constexpr const char* kNamespace = "";

// Tells TensorRT's logger (standard error where there is none).
void report(const std::string& message) noexcept;

// Remembers where TensorRT keeps its logger.
void set_logger_finder(nvinfer1::ILoggerFinder* finder) noexcept;

// The result of body, or `failed` after a report of what it threw.
template <typename Result, typename Body>
Result guarded(const char* what, Result failed, const Body& body) noexcept {
  try {
    return body();
  } catch (const std::exception& error) {
    report(std::string(what) + ": " + error.what());
  } catch (...) {
    report(std::string(what) + ": unknown failure");
  }
  return failed;
}

// Numbers of an operator's attributes, as fields of a plugin: int32 each.
struct Attribute {
  const char* name;
  int32_t value;
};

class Plugin : public nvinfer1::IPluginV3,
               public nvinfer1::IPluginV3OneCore,
               public nvinfer1::IPluginV3OneBuild,
               public nvinfer1::IPluginV3OneRuntime {
 public:
  using Types = std::vector<nvinfer1::DataType>;

  // `attributes` are serialised with the engine; "output_type" (a Real) is one of them.
  Plugin(const char* name, Types inputs, std::vector<Attribute> attributes);
  Plugin(const Plugin& other) : Plugin(other.name_, other.inputs_, other.attributes_) {}
  Plugin& operator=(const Plugin&) = delete;
  ~Plugin() override = default;

  // IPluginV3
  nvinfer1::IPluginCapability* getCapabilityInterface(
      nvinfer1::PluginCapabilityType type) noexcept override;

  // IPluginV3OneCore
  const char* getPluginName() const noexcept override { return name_; }
  const char* getPluginVersion() const noexcept override { return kVersion; }
  const char* getPluginNamespace() const noexcept override { return kNamespace; }

  // IPluginV3OneBuild
  int32_t getNbOutputs() const noexcept override { return 1; }
  int32_t configurePlugin(const nvinfer1::DynamicPluginTensorDesc* in, int32_t inputs,
                          const nvinfer1::DynamicPluginTensorDesc* out,
                          int32_t outputs) noexcept override;
  int32_t getOutputDataTypes(nvinfer1::DataType* types, int32_t outputs,
                             const nvinfer1::DataType* given,
                             int32_t inputs) const noexcept override;
  bool supportsFormatCombination(int32_t position, const nvinfer1::DynamicPluginTensorDesc* tensors,
                                 int32_t inputs, int32_t outputs) noexcept override;
  const char* getTimingCacheID() noexcept override { return cache_id_.c_str(); }
  const char* getMetadataString() noexcept override { return cache_id_.c_str(); }

  // IPluginV3OneRuntime
  nvinfer1::IPluginV3* attachToContext(nvinfer1::IPluginResourceContext* context) noexcept override;
  const nvinfer1::PluginFieldCollection* getFieldsToSerialize() noexcept override;

 protected:
  Real output_type() const { return static_cast<Real>(attribute("output_type")); }
  int32_t attribute(const std::string& name) const;
  // 0, or 1 after a report of what CudaOps returned.
  int32_t result(const char* failure) const noexcept;
  // The inputs have these ranks; throws std::invalid_argument.
  void check_inputs(int32_t count) const;

 private:
  nvinfer1::DataType type_of(size_t position) const;

  const char* name_;
  Types inputs_;
  std::vector<Attribute> attributes_;
  std::vector<nvinfer1::PluginField> fields_;
  nvinfer1::PluginFieldCollection collection_{};
  std::string cache_id_;
};

// Makes plugins of one kind from fields; `attributes` are the known ones with their defaults.
class Creator : public nvinfer1::IPluginCreatorV3One {
 public:
  explicit Creator(const char* name, std::vector<Attribute> attributes);

  const char* getPluginName() const noexcept override { return name_; }
  const char* getPluginVersion() const noexcept override { return kVersion; }
  const char* getPluginNamespace() const noexcept override { return kNamespace; }
  const nvinfer1::PluginFieldCollection* getFieldNames() noexcept override { return &collection_; }
  // Null, after a report, for a field that is unknown, or of another type or range.
  nvinfer1::IPluginV3* createPlugin(const char* name, const nvinfer1::PluginFieldCollection* fields,
                                    nvinfer1::TensorRTPhase phase) noexcept override;

 protected:
  virtual nvinfer1::IPluginV3* make(std::vector<Attribute> attributes) const = 0;
  // The number that a word stands for, for an attribute of text; throws std::invalid_argument.
  virtual int32_t word(const std::string& attribute, const std::string& text) const;

 private:
  std::vector<Attribute> parse(const nvinfer1::PluginFieldCollection& fields) const;
  int32_t number(const nvinfer1::PluginField& field) const;

  const char* name_;
  std::vector<Attribute> attributes_;
  std::vector<nvinfer1::PluginField> fields_;
  nvinfer1::PluginFieldCollection collection_{};
};

Creator& reparametrized_sample_creator();
Creator& batched_interpolate_creator();

}  // namespace zoo::plugins
