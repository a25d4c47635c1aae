#include "plugins/plugin.h"

#include <cstdio>
#include <stdexcept>
#include <utility>

namespace zoo::plugins {
namespace {

using nvinfer1::DataType;
using nvinfer1::PluginField;
using nvinfer1::PluginFieldType;

nvinfer1::ILoggerFinder* logger_finder = nullptr;

DataType data_type(Real real) {
  switch (real) {
    case Real::kFloat32:
      return DataType::kFLOAT;
    case Real::kFloat16:
      return DataType::kHALF;
    case Real::kBFloat16:
      return DataType::kBF16;
  }
  throw std::invalid_argument("output_type: expected 0 (fp32), 1 (fp16) or 2 (bf16), got " +
                              std::to_string(static_cast<int32_t>(real)));
}

std::vector<PluginField> fields_of(const std::vector<Attribute>& attributes, bool with_values) {
  std::vector<PluginField> fields;
  for (const Attribute& attribute : attributes) {
    fields.emplace_back(attribute.name, with_values ? &attribute.value : nullptr,
                        PluginFieldType::kINT32, 1);
  }
  return fields;
}

}  // namespace

void report(const std::string& message) noexcept {
  nvinfer1::ILogger* logger = logger_finder ? logger_finder->findLogger() : nullptr;
  if (logger) {
    logger->log(nvinfer1::ILogger::Severity::kERROR, message.c_str());
  } else {
    std::fprintf(stderr, "zoo_plugins: %s\n", message.c_str());
  }
}

void set_logger_finder(nvinfer1::ILoggerFinder* finder) noexcept { logger_finder = finder; }

Plugin::Plugin(const char* name, Types inputs, std::vector<Attribute> attributes)
    : name_(name),
      inputs_(std::move(inputs)),
      attributes_(std::move(attributes)),
      fields_(fields_of(attributes_, true)),
      collection_{static_cast<int32_t>(fields_.size()), fields_.data()} {
  data_type(output_type());
  for (const Attribute& attribute : attributes_) {
    cache_id_ += std::string(attribute.name) + "=" + std::to_string(attribute.value) + ";";
  }
}

nvinfer1::IPluginCapability* Plugin::getCapabilityInterface(
    nvinfer1::PluginCapabilityType type) noexcept {
  switch (type) {
    case nvinfer1::PluginCapabilityType::kCORE:
      return static_cast<nvinfer1::IPluginV3OneCore*>(this);
    case nvinfer1::PluginCapabilityType::kBUILD:
      return static_cast<nvinfer1::IPluginV3OneBuild*>(this);
    case nvinfer1::PluginCapabilityType::kRUNTIME:
      return static_cast<nvinfer1::IPluginV3OneRuntime*>(this);
  }
  report(std::string(name_) + ": unknown capability " + std::to_string(static_cast<int>(type)));
  return nullptr;
}

int32_t Plugin::configurePlugin(const nvinfer1::DynamicPluginTensorDesc*, int32_t inputs,
                                const nvinfer1::DynamicPluginTensorDesc*,
                                int32_t outputs) noexcept {
  return guarded(name_, 1, [&] {
    check_inputs(inputs);
    if (outputs != 1) throw std::invalid_argument("expected one output");
    return 0;
  });
}

int32_t Plugin::getOutputDataTypes(DataType* types, int32_t outputs, const DataType* input_types,
                                   int32_t inputs) const noexcept {
  return guarded(name_, 1, [&] {
    check_inputs(inputs);
    if (outputs != 1) throw std::invalid_argument("expected one output");
    for (int32_t index = 0; index < inputs; ++index) {
      const DataType expected = inputs_[static_cast<size_t>(index)];
      if (input_types[index] != expected) {
        throw std::invalid_argument("input " + std::to_string(index) + ": expected the type " +
                                    std::to_string(static_cast<int>(expected)) + ", got " +
                                    std::to_string(static_cast<int>(input_types[index])));
      }
    }
    types[0] = data_type(output_type());
    return 0;
  });
}

int32_t Plugin::getOutputShapes(const nvinfer1::DimsExprs* inputs, int32_t count,
                                const nvinfer1::DimsExprs*, int32_t, nvinfer1::DimsExprs* outputs,
                                int32_t, nvinfer1::IExprBuilder&) noexcept {
  return guarded(name_, 1, [&] {
    check_inputs(count);
    set_output_shape(inputs, &outputs[0]);
    return 0;
  });
}

int32_t Plugin::onShapeChange(const nvinfer1::PluginTensorDesc* in, int32_t count,
                              const nvinfer1::PluginTensorDesc*, int32_t) noexcept {
  return guarded(name_, 1, [&] {
    check_inputs(count);
    check_shapes(in);
    return 0;
  });
}

int32_t Plugin::enqueue(const nvinfer1::PluginTensorDesc* in, const nvinfer1::PluginTensorDesc*,
                        const void* const* inputs, void* const* outputs, void*,
                        cudaStream_t stream) noexcept {
  return guarded(name_, 1, [&] {
    const char* const failure = launch(in, inputs, outputs[0], stream);
    if (failure) report(std::string(name_) + ": " + failure);
    return failure ? 1 : 0;
  });
}

bool Plugin::supportsFormatCombination(int32_t position,
                                       const nvinfer1::DynamicPluginTensorDesc* tensors,
                                       int32_t inputs, int32_t outputs) noexcept {
  return guarded(name_, false, [&] {
    check_inputs(inputs);
    if (position < 0 || position >= inputs + outputs) return false;
    const nvinfer1::PluginTensorDesc& tensor = tensors[position].desc;
    return tensor.format == nvinfer1::TensorFormat::kLINEAR &&
           tensor.type == type_of(static_cast<size_t>(position));
  });
}

nvinfer1::IPluginV3* Plugin::attachToContext(nvinfer1::IPluginResourceContext*) noexcept {
  return clone();
}

const nvinfer1::PluginFieldCollection* Plugin::getFieldsToSerialize() noexcept {
  return &collection_;
}

int32_t Plugin::attribute(const std::string& name) const {
  for (const Attribute& known : attributes_) {
    if (name == known.name) return known.value;
  }
  throw std::logic_error("no attribute " + name);
}

void Plugin::check_inputs(int32_t count) const {
  if (static_cast<size_t>(count) != inputs_.size()) {
    throw std::invalid_argument("expected " + std::to_string(inputs_.size()) + " inputs, got " +
                                std::to_string(count));
  }
}

DataType Plugin::type_of(size_t position) const {
  return position < inputs_.size() ? inputs_[position] : data_type(output_type());
}

Creator::Creator(const char* name, std::vector<Attribute> attributes)
    : name_(name),
      attributes_(std::move(attributes)),
      fields_(fields_of(attributes_, false)),
      collection_{static_cast<int32_t>(fields_.size()), fields_.data()} {}

nvinfer1::IPluginV3* Creator::createPlugin(const char*,
                                           const nvinfer1::PluginFieldCollection* fields,
                                           nvinfer1::TensorRTPhase) noexcept {
  return guarded<nvinfer1::IPluginV3*>(name_, nullptr,
                                       [&] { return make(fields ? parse(*fields) : attributes_); });
}

int32_t Creator::parse_text(const std::string& attribute, const std::string&) const {
  throw std::invalid_argument("field " + attribute + ": expected an integer, got text");
}

std::vector<Attribute> Creator::parse(const nvinfer1::PluginFieldCollection& fields) const {
  std::vector<Attribute> values = attributes_;
  for (int32_t index = 0; index < fields.nbFields; ++index) {
    const PluginField& field = fields.fields[index];
    const std::string name = field.name ? field.name : "";
    // Added by the ONNX parser.
    if (name == "plugin_version" || name == "plugin_namespace") continue;
    bool known = false;
    for (Attribute& value : values) {
      if (name != value.name) continue;
      value.value = parse_field(field);
      known = true;
    }
    if (!known) throw std::invalid_argument("unknown field '" + name + "'");
  }
  return values;
}

int32_t Creator::parse_field(const PluginField& field) const {
  const std::string name = field.name;
  if (!field.data) throw std::invalid_argument("field " + name + " has no data");
  if (field.type == PluginFieldType::kCHAR) {
    std::string text(static_cast<const char*>(field.data), static_cast<size_t>(field.length));
    while (!text.empty() && text.back() == '\0') text.pop_back();
    return parse_text(name, text);
  }
  if (field.length != 1) throw std::invalid_argument("field " + name + ": expected one number");
  if (field.type == PluginFieldType::kINT32) return *static_cast<const int32_t*>(field.data);
  if (field.type == PluginFieldType::kINT64) {
    const int64_t value = *static_cast<const int64_t*>(field.data);
    if (value == static_cast<int32_t>(value)) return static_cast<int32_t>(value);
  }
  throw std::invalid_argument("field " + name + ": expected an integer of 32 bits");
}

}  // namespace zoo::plugins
