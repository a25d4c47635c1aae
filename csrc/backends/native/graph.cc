#include "backends/native/graph.h"

#include <cstring>

#include "format/wire.h"
#include "ops/half_float.h"
#include "zoo/errors.h"

namespace zoo::native {
namespace {

// onnx.TensorProto.DataType
constexpr int kFloat = 1;
constexpr int kInt32 = 6;
constexpr int kInt64 = 7;
constexpr int kBool = 9;
constexpr int kFloat16 = 10;

bool next(WireReader* reader, WireField* field) {
  const Wire wire = reader->next(field);
  if (wire == Wire::kOk) return true;
  if (wire == Wire::kEnd) return false;
  throw EngineFileError("its graph is damaged");
}

float as_float(uint64_t bits) {
  const auto low = static_cast<uint32_t>(bits);
  float value;
  std::memcpy(&value, &low, sizeof value);
  return value;
}

// Appends the values of a repeated field, packed or not.
void append(const WireField& field, std::vector<int64_t>* values) {
  if (field.type != WireType::kBytes) {
    values->push_back(static_cast<int64_t>(field.value));
    return;
  }
  uint64_t value = 0;
  for (WireReader reader(field.bytes); !reader.at_end();) {
    if (reader.varint(&value) != Wire::kOk) throw EngineFileError("its graph is damaged");
    values->push_back(static_cast<int64_t>(value));
  }
}

template <typename T, typename Convert, typename To>
void convert(std::string_view raw, Convert convert, std::vector<To>* values) {
  values->reserve(raw.size() / sizeof(T));
  for (size_t at = 0; at + sizeof(T) <= raw.size(); at += sizeof(T)) {
    T bits;
    std::memcpy(&bits, raw.data() + at, sizeof bits);
    values->push_back(convert(bits));
  }
}

// Reads an onnx.TensorProto. Constants of unsupported types have no values.
Constant read_constant(std::string_view message, std::string_view* name) {
  Constant made;
  int type = 0;
  std::string_view raw;
  std::string_view packed;
  std::vector<int64_t> integers;
  WireField field;
  for (WireReader reader(message); next(&reader, &field);) {
    if (field.number == 1) append(field, &made.shape);
    if (field.number == 2) type = static_cast<int>(field.value);
    if (field.number == 4) packed = field.bytes;
    if (field.number == 5 || field.number == 7) append(field, &integers);
    if (field.number == 8) *name = field.bytes;
    if (field.number == 9) raw = field.bytes;
  }
  if (type == kFloat) {
    convert<float>(raw.empty() ? packed : raw, [](float x) { return x; }, &made.floats);
  } else if (type == kFloat16) {
    const auto widen = [](auto bits) { return to_float(Float16{static_cast<uint16_t>(bits)}); };
    convert<uint16_t>(raw, widen, &made.floats);
    for (const int64_t bits : integers) made.floats.push_back(widen(bits));
  } else if (type == kInt64 || type == kInt32 || type == kBool) {
    const auto same = [](auto x) { return static_cast<int64_t>(x); };
    if (type == kInt64) convert<int64_t>(raw, same, &made.integers);
    if (type == kInt32) convert<int32_t>(raw, same, &made.integers);
    if (raw.empty()) made.integers = std::move(integers);
  }
  return made;
}

Attribute read_attribute(std::string_view message, std::string_view* name) {
  Attribute made;
  WireField field;
  for (WireReader reader(message); next(&reader, &field);) {
    if (field.number == 1) *name = field.bytes;
    if (field.number == 2) made.number = as_float(field.value);
    if (field.number == 3) made.integer = static_cast<int64_t>(field.value);
    if (field.number == 4) made.text = field.bytes;
    if (field.number == 5) made.tensor = field.bytes;
    if (field.number == 8) append(field, &made.integers);
  }
  return made;
}

// Reads the value of a Constant node.
Constant read_value(const Node& node) {
  Constant made;
  for (const auto& [name, attribute] : node.attributes) {
    std::string_view unused;
    if (name == "value") made = read_constant(attribute.tensor, &unused);
    if (name == "value_float") made.floats = {attribute.number};
    if (name == "value_int") made.integers = {attribute.integer};
    if (name != "value_ints") continue;
    made.integers = attribute.integers;
    made.shape = {static_cast<int64_t>(made.integers.size())};
  }
  return made;
}

Node read_node(std::string_view message) {
  Node made;
  WireField field;
  for (WireReader reader(message); next(&reader, &field);) {
    if (field.number == 1) made.inputs.push_back(field.bytes);
    if (field.number == 2) made.outputs.push_back(field.bytes);
    if (field.number == 3) made.name = field.bytes;
    if (field.number == 4) made.op = field.bytes;
    if (field.number == 5) {
      std::string_view name;
      Attribute attribute = read_attribute(field.bytes, &name);
      made.attributes.emplace(name, std::move(attribute));
    }
    if (field.number == 7) made.domain = field.bytes;
  }
  return made;
}

std::string_view name_of(std::string_view value_info) {
  WireField field;
  for (WireReader reader(value_info); next(&reader, &field);) {
    if (field.number == 1) return field.bytes;
  }
  return {};
}

std::string_view graph_of(std::string_view file) {
  WireField field;
  for (WireReader reader(file); next(&reader, &field);) {
    if (field.number == 7) return field.bytes;
  }
  throw EngineFileError("it has no graph");
}

}  // namespace

int64_t Node::integer(std::string_view attribute, int64_t otherwise) const {
  const auto found = attributes.find(attribute);
  return found == attributes.end() ? otherwise : found->second.integer;
}

float Node::number(std::string_view attribute, float otherwise) const {
  const auto found = attributes.find(attribute);
  return found == attributes.end() ? otherwise : found->second.number;
}

std::vector<int64_t> Node::integers(std::string_view attribute) const {
  const auto found = attributes.find(attribute);
  return found == attributes.end() ? std::vector<int64_t>() : found->second.integers;
}

Graph::Graph(std::string_view file) {
  WireField field;
  for (WireReader reader(graph_of(file)); next(&reader, &field);) {
    if (field.number == 1) nodes_.push_back(read_node(field.bytes));
    if (field.number == 5) {
      std::string_view name;
      Constant constant = read_constant(field.bytes, &name);
      constants_.emplace(name, std::make_shared<Constant>(std::move(constant)));
    }
    if (field.number == 12) outputs_.push_back(name_of(field.bytes));
  }
  fold_constants();
  fold_batch_norms();
  for (const Node& node : nodes_) {
    for (const std::string_view value : node.outputs) producers_.emplace(value, &node);
    for (const std::string_view value : node.inputs) users_.emplace(value, &node);
  }
}

// Replaces Constant nodes, and nodes that only rename or convert constants: weights stored in half
// precision are converted to float by nodes of the graph.
void Graph::fold_constants() {
  std::vector<Node> left;
  for (Node& node : nodes_) {
    const auto found = constants_.find(node.inputs.empty() ? "" : node.inputs.front());
    const bool known = found != constants_.end() && node.domain.empty() && !node.outputs.empty();
    const bool floats = known && !found->second->floats.empty();
    if (node.op == "Constant" && node.domain.empty() && !node.outputs.empty()) {
      constants_.emplace(node.outputs.front(), std::make_shared<Constant>(read_value(node)));
    } else if ((node.op == "Cast" && floats && node.integer("to", 0) == kFloat) ||
               (node.op == "Identity" && known)) {
      constants_.emplace(node.outputs.front(), found->second);
    } else {
      left.push_back(std::move(node));
    }
  }
  nodes_ = std::move(left);
}

const Constant* Graph::constant(std::string_view value) const {
  const auto found = constants_.find(value);
  return found == constants_.end() ? nullptr : found->second.get();
}

const Node* Graph::producer(std::string_view value) const {
  const auto found = producers_.find(value);
  return found == producers_.end() ? nullptr : found->second;
}

std::vector<const Node*> Graph::users(std::string_view value) const {
  std::vector<const Node*> found;
  const auto [begin, end] = users_.equal_range(value);
  for (auto at = begin; at != end; ++at) found.push_back(at->second);
  return found;
}

bool Graph::is_output(std::string_view value) const {
  for (const std::string_view output : outputs_) {
    if (output == value) return true;
  }
  return false;
}

}  // namespace zoo::native
