// What is in an ONNX file, as far as it is looked at before a library gets the file. Texts are
// views into the file's memory, which must outlive them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/wire.h"

namespace zoo {

// onnx.TensorProto.DataType
namespace onnx_type {
constexpr int kFloat = 1;
constexpr int kUint8 = 2;
constexpr int kInt64 = 7;
constexpr int kString = 8;
constexpr int kFloat16 = 10;
constexpr int kDouble = 11;
constexpr int kBfloat16 = 16;
}  // namespace onnx_type

struct OnnxTensor {
  std::string_view name;
  int type = 0;
  std::vector<int64_t> shape;
  uint64_t elements = 0;
  bool infinite = false;  // some number in it is infinite
  bool nan = false;       // some is no number
};

// A named input, output or intermediate result.
struct OnnxValue {
  std::string_view name;
  int type = 0;  // 0: no tensor, or not said
  bool has_shape = false;
  std::vector<int64_t> shape;  // -1: any length
};

struct OnnxGraph;

struct OnnxNode {
  std::string_view op;
  std::string_view domain;  // empty: the standard operators
  std::vector<std::string_view> inputs;
  std::vector<std::string_view> outputs;
  std::optional<int64_t> stream;  // the attribute of that name
  std::vector<OnnxGraph> graphs;  // bodies of control flow
};

struct OnnxGraph {
  std::vector<OnnxNode> nodes;
  std::vector<OnnxTensor> initializers;
  std::vector<OnnxValue> inputs;
  std::vector<OnnxValue> outputs;
  std::vector<OnnxValue> values;  // that lie between
};

using OnnxOpsets = std::map<std::string_view, int64_t>;  // domain -> version

struct OnnxFunction {
  std::string_view name;
  std::string_view domain;
  std::vector<std::string_view> inputs;
  std::vector<std::string_view> outputs;
  OnnxOpsets opsets;
  std::vector<OnnxNode> nodes;
};

struct OnnxModel {
  int64_t ir_version = 0;
  OnnxOpsets opsets;
  OnnxGraph graph;
  std::vector<OnnxFunction> functions;
};

// Reads a file. Throws EngineFileError, without the file's name, for what is no ONNX model, and
// for tensors whose data are not in the file (external data), are not as long as their shape
// says, or, where they are weights, are not finite.
OnnxModel parse_onnx(std::string_view file);

// A name of the file's in quotes, for messages: what is not plain ASCII as "?", and cut.
std::string quoted(std::string_view name);

// The next field of a message, false at its end. `what` it is stands in the EngineFileError that
// is thrown for one that is damaged.
bool next_field(WireReader* reader, const char* what, WireField* field);

// Of onnx.TensorProto. Throws EngineFileError, as parse_onnx.
OnnxTensor parse_onnx_tensor(std::string_view message);

}  // namespace zoo
