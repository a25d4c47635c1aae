#include "format/onnx_graph.h"

#include "zoo/errors.h"

namespace zoo {
namespace {

// Nesting of subgraphs; no exporter comes near it.
constexpr int kMaxDepth = 16;

// Checks that a field occurs at most once in a message. Readers of Protocol Buffers merge
// duplicates or take the last, so they could see another value than the one checked here.
class Once {
 public:
  explicit Once(const char* what) : what_(what) {}

  void operator()(const WireField& field, WireType type) {
    const uint64_t bit = uint64_t{1} << (field.number & 63);
    if ((seen_ & bit) != 0 || field.type != type) {
      throw EngineFileError(std::string(what_) +
                            " has a duplicate field or a field of the wrong type");
    }
    seen_ |= bit;
  }

 private:
  const char* const what_;
  uint64_t seen_ = 0;
};

void require_bytes(const WireField& field, const char* what) {
  if (field.type == WireType::kBytes) return;
  throw EngineFileError(std::string(what) + " has a field of the wrong type");
}

int64_t as_signed(const WireField& field) { return static_cast<int64_t>(field.value); }

// onnx.TensorShapeProto
std::vector<int64_t> parse_shape(std::string_view message) {
  std::vector<int64_t> shape;
  WireField axis;
  for (WireReader reader(message); next_field(&reader, "a shape", &axis);) {
    if (axis.number != 1) continue;
    require_bytes(axis, "a shape");
    int64_t length = -1;
    WireField field;
    for (WireReader inner(axis.bytes); next_field(&inner, "a shape", &field);) {
      if (field.number != 1) continue;
      length = as_signed(field);
      if (field.type != WireType::kVarint || length < 0) {
        throw EngineFileError("a shape has an axis of length " + std::to_string(length));
      }
    }
    shape.push_back(length);
  }
  return shape;
}

// onnx.TypeProto.Tensor
void parse_tensor_type(std::string_view message, OnnxValue* value) {
  Once once("a tensor's type");
  WireField field;
  for (WireReader reader(message); next_field(&reader, "a tensor's type", &field);) {
    if (field.number == 1) {
      once(field, WireType::kVarint);
      value->type = static_cast<int>(field.value & 0xff);
    } else if (field.number == 2) {
      once(field, WireType::kBytes);
      value->has_shape = true;
      value->shape = parse_shape(field.bytes);
    }
  }
}

// onnx.ValueInfoProto
OnnxValue parse_value(std::string_view message) {
  OnnxValue value;
  Once once("an input or output");
  Once once_in_type("a type");
  WireField field;
  for (WireReader reader(message); next_field(&reader, "an input or output", &field);) {
    if (field.number == 1) {
      once(field, WireType::kBytes);
      value.name = field.bytes;
    } else if (field.number == 2) {
      once(field, WireType::kBytes);
      WireField kind;
      for (WireReader inner(field.bytes); next_field(&inner, "a type", &kind);) {
        if (kind.number != 1) continue;
        once_in_type(kind, WireType::kBytes);
        parse_tensor_type(kind.bytes, &value);
      }
    }
  }
  return value;
}

void parse_opset(const WireField& field, OnnxOpsets* opsets) {
  std::string_view domain;
  int64_t version = 0;
  WireField part;
  for (WireReader reader(field.bytes); next_field(&reader, "an opset", &part);) {
    if (part.number == 1) domain = part.bytes;
    if (part.number == 2) version = as_signed(part);
  }
  if (domain == "ai.onnx") domain = "";
  if (!opsets->emplace(domain, version).second) {
    throw EngineFileError("its graph imports two opsets of the domain " + quoted(domain));
  }
}

OnnxGraph parse_graph(std::string_view message, int depth);

// onnx.AttributeProto. A scalar constant may be infinite, like the bound of a range.
void parse_attribute(std::string_view message, int depth, OnnxNode* node) {
  std::string_view name;
  int64_t integer = 0;
  Once once("an attribute");
  WireField field;
  for (WireReader reader(message); next_field(&reader, "an attribute", &field);) {
    switch (field.number) {
      case 1:
        once(field, WireType::kBytes);
        name = field.bytes;
        break;
      case 3:
        once(field, WireType::kVarint);
        integer = as_signed(field);
        break;
      case 5:
      case 10: {
        require_bytes(field, "an attribute");
        const OnnxTensor tensor = parse_onnx_tensor(field.bytes);
        if (tensor.nan || (tensor.infinite && tensor.elements > 1)) {
          throw EngineFileError("a constant of its graph is not finite");
        }
        break;
      }
      case 6:
      case 11:
        require_bytes(field, "an attribute");
        node->graphs.push_back(parse_graph(field.bytes, depth + 1));
        break;
      case 22:
      case 23:
        throw EngineFileError("its graph has sparse tensors, which are not supported");
      default:
        break;
    }
  }
  if (name == "stream") node->stream = integer;
}

// onnx.NodeProto
OnnxNode parse_node(std::string_view message, int depth) {
  OnnxNode node;
  Once once("a node");
  WireField field;
  for (WireReader reader(message); next_field(&reader, "a node", &field);) {
    if (field.number == 0 || field.number > 9) continue;
    require_bytes(field, "a node");
    switch (field.number) {
      case 1:
        node.inputs.push_back(field.bytes);
        break;
      case 2:
        node.outputs.push_back(field.bytes);
        break;
      case 4:
        once(field, WireType::kBytes);
        node.op = field.bytes;
        break;
      case 5:
        parse_attribute(field.bytes, depth, &node);
        break;
      case 7:
        once(field, WireType::kBytes);
        node.domain = field.bytes == "ai.onnx" ? std::string_view() : field.bytes;
        break;
      default:
        break;
    }
  }
  return node;
}

// onnx.GraphProto
OnnxGraph parse_graph(std::string_view message, int depth) {
  if (depth > kMaxDepth) throw EngineFileError("its graph nests subgraphs too deeply");
  OnnxGraph graph;
  WireField field;
  for (WireReader reader(message); next_field(&reader, "its graph", &field);) {
    if (field.number > 15) continue;
    require_bytes(field, "its graph");
    switch (field.number) {
      case 1:
        graph.nodes.push_back(parse_node(field.bytes, depth));
        break;
      case 5: {
        const OnnxTensor tensor = parse_onnx_tensor(field.bytes);
        if (tensor.nan || tensor.infinite) {
          throw EngineFileError("the weights " + quoted(tensor.name) + " are not finite");
        }
        graph.initializers.push_back(tensor);
        break;
      }
      case 11:
        graph.inputs.push_back(parse_value(field.bytes));
        break;
      case 12:
        graph.outputs.push_back(parse_value(field.bytes));
        break;
      case 13:
        graph.values.push_back(parse_value(field.bytes));
        break;
      case 15:
        throw EngineFileError("its graph has sparse tensors, which are not supported");
      default:
        break;
    }
  }
  return graph;
}

// onnx.FunctionProto
OnnxFunction parse_function(std::string_view message) {
  OnnxFunction function;
  OnnxNode defaults;
  WireField field;
  for (WireReader reader(message); next_field(&reader, "a function", &field);) {
    if (field.number > 13) continue;
    require_bytes(field, "a function");
    switch (field.number) {
      case 1:
        function.name = field.bytes;
        break;
      case 4:
        function.inputs.push_back(field.bytes);
        break;
      case 5:
        function.outputs.push_back(field.bytes);
        break;
      case 7:
        function.nodes.push_back(parse_node(field.bytes, 0));
        break;
      case 9:
        parse_opset(field, &function.opsets);
        break;
      case 10:
        function.domain = field.bytes;
        break;
      case 11:
        parse_attribute(field.bytes, 0, &defaults);
        break;
      default:
        break;
    }
  }
  return function;
}

}  // namespace

std::string quoted(std::string_view name) {
  constexpr size_t kMaxLength = 80;
  std::string text = "'";
  for (const char c : name.substr(0, kMaxLength)) text += c >= ' ' && c <= '~' ? c : '?';
  return text + (name.size() > kMaxLength ? "...'" : "'");
}

bool next_field(WireReader* reader, const char* what, WireField* field) {
  const Wire wire = reader->next(field);
  if (wire == Wire::kOk) return true;
  if (wire == Wire::kEnd) return false;
  throw EngineFileError(std::string(what) + " is damaged");
}

OnnxModel parse_onnx(std::string_view file) {
  OnnxModel model;
  Once once("the file");
  WireField field;
  for (WireReader reader(file); next_field(&reader, "the file", &field);) {
    switch (field.number) {
      case 1:
        once(field, WireType::kVarint);
        model.ir_version = as_signed(field);
        break;
      case 7:
        once(field, WireType::kBytes);
        model.graph = parse_graph(field.bytes, 0);
        break;
      case 8:
        require_bytes(field, "the file");
        parse_opset(field, &model.opsets);
        break;
      case 20:
        throw EngineFileError("it has training graphs, which are not supported");
      case 25:
        require_bytes(field, "the file");
        model.functions.push_back(parse_function(field.bytes));
        break;
      default:
        break;
    }
  }
  return model;
}

}  // namespace zoo
