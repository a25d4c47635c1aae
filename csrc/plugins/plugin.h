// Base of the two TensorRT plugins: an IPluginV3 with one output, whose inputs and output are
// linear tensors of fixed types.
//
// No exception may reach TensorRT. Errors are reported to its logger, and the call returns an error
// code.
#pragma once

#include <NvInferRuntime.h>

#include <exception>
#include <string>
#include <vector>

#include "ops/cuda_ops.h"

namespace zoo::plugins {

constexpr const char* kVersion = "1";
// Empty: the namespace in which the ONNX parser searches for unknown operators.
constexpr const char* kNamespace = "";

// Logs an error with TensorRT's logger, or on standard error if there is none.
void report(const std::string& message) noexcept;

void set_logger_finder(nvinfer1::ILoggerFinder* finder) noexcept;

// Returns the result of body; if it throws, reports the error and returns `failed`.
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

// An attribute of an operator as a field of a plugin.
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

  // attributes: serialised with the engine; "output_type" (a Real) is one of them.
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
                             const nvinfer1::DataType* input_types,
                             int32_t inputs) const noexcept override;
  int32_t getOutputShapes(const nvinfer1::DimsExprs* inputs, int32_t count,
                          const nvinfer1::DimsExprs* shape_inputs, int32_t shape_count,
                          nvinfer1::DimsExprs* outputs, int32_t output_count,
                          nvinfer1::IExprBuilder& builder) noexcept override;
  bool supportsFormatCombination(int32_t position, const nvinfer1::DynamicPluginTensorDesc* tensors,
                                 int32_t inputs, int32_t outputs) noexcept override;
  const char* getTimingCacheID() noexcept override { return cache_id_.c_str(); }
  const char* getMetadataString() noexcept override { return cache_id_.c_str(); }

  // IPluginV3OneRuntime
  int32_t onShapeChange(const nvinfer1::PluginTensorDesc* in, int32_t count,
                        const nvinfer1::PluginTensorDesc* out,
                        int32_t output_count) noexcept override;
  int32_t enqueue(const nvinfer1::PluginTensorDesc* in, const nvinfer1::PluginTensorDesc* out,
                  const void* const* inputs, void* const* outputs, void* workspace,
                  cudaStream_t stream) noexcept override;
  nvinfer1::IPluginV3* attachToContext(nvinfer1::IPluginResourceContext* context) noexcept override;
  const nvinfer1::PluginFieldCollection* getFieldsToSerialize() noexcept override;

 protected:
  // Implemented by the operators; the first two throw std::invalid_argument for wrong shapes.
  virtual void set_output_shape(const nvinfer1::DimsExprs* inputs,
                                nvinfer1::DimsExprs* output) const = 0;
  virtual void check_shapes(const nvinfer1::PluginTensorDesc* in) const = 0;
  // Returns null or an error message, as CudaOps.
  virtual const char* launch(const nvinfer1::PluginTensorDesc* in, const void* const* inputs,
                             void* output, cudaStream_t stream) const = 0;

  Real output_type() const { return static_cast<Real>(attribute("output_type")); }
  int32_t attribute(const std::string& name) const;

 private:
  // Throws std::invalid_argument for a wrong number of inputs.
  void check_inputs(int32_t count) const;
  nvinfer1::DataType type_of(size_t position) const;

  const char* name_;
  Types inputs_;
  std::vector<Attribute> attributes_;
  std::vector<nvinfer1::PluginField> fields_;
  nvinfer1::PluginFieldCollection collection_{};
  std::string cache_id_;
};

// Creates plugins of one kind from fields. attributes: the known ones with their defaults.
class Creator : public nvinfer1::IPluginCreatorV3One {
 public:
  explicit Creator(const char* name, std::vector<Attribute> attributes);

  const char* getPluginName() const noexcept override { return name_; }
  const char* getPluginVersion() const noexcept override { return kVersion; }
  const char* getPluginNamespace() const noexcept override { return kNamespace; }
  const nvinfer1::PluginFieldCollection* getFieldNames() noexcept override { return &collection_; }
  // Returns null, after a report, if a field is unknown or invalid.
  nvinfer1::IPluginV3* createPlugin(const char* name, const nvinfer1::PluginFieldCollection* fields,
                                    nvinfer1::TensorRTPhase phase) noexcept override;

 protected:
  virtual nvinfer1::IPluginV3* make(std::vector<Attribute> attributes) const = 0;
  // Returns the value of an attribute given as text. Throws std::invalid_argument.
  virtual int32_t parse_text(const std::string& attribute, const std::string& text) const;

 private:
  std::vector<Attribute> parse(const nvinfer1::PluginFieldCollection& fields) const;
  int32_t parse_field(const nvinfer1::PluginField& field) const;

  const char* name_;
  std::vector<Attribute> attributes_;
  std::vector<nvinfer1::PluginField> fields_;
  nvinfer1::PluginFieldCollection collection_{};
};

Creator& reparametrized_sample_creator();
Creator& batched_interpolate_creator();

}  // namespace zoo::plugins
