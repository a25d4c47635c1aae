// The parts of an ONNX file that are checked before it is passed to a library. Strings are views
// into the memory of the file, which must outlive them.
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
  bool infinite = false;  // contains an infinity
  bool nan = false;       // contains a NaN
};

// A named input, output or intermediate result.
struct OnnxValue {
  std::string_view name;
  int type = 0;  // 0: not a tensor, or not given
  bool has_shape = false;
  std::vector<int64_t> shape;  // -1: any length
};

struct OnnxGraph;

struct OnnxNode {
  std::string_view op;
  std::string_view domain;  // empty: the standard operators
  std::vector<std::string_view> inputs;
  std::vector<std::string_view> outputs;
  std::optional<int64_t> stream;  // the attribute "stream"
  std::vector<OnnxGraph> graphs;  // subgraphs of control flow
};

struct OnnxGraph {
  std::vector<OnnxNode> nodes;
  std::vector<OnnxTensor> initializers;
  std::vector<OnnxValue> inputs;
  std::vector<OnnxValue> outputs;
  std::vector<OnnxValue> values;  // intermediate results with a given type
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

// Reads a file. Throws EngineFileError, without the file's name, if it is not an ONNX model, or if
// the data of a tensor are not in the file (external data), do not have the length of its shape,
// or, for weights, are not finite.
OnnxModel parse_onnx(std::string_view file);

// Quotes a name from a file for messages: shortened, and with "?" for characters that are not
// printable ASCII.
std::string quoted(std::string_view name);

// Reads the next field of a message; returns false at its end. Throws EngineFileError, which names
// the message `what`, for a damaged field.
bool next_field(WireReader* reader, const char* what, WireField* field);

// Reads an onnx.TensorProto. Throws EngineFileError as parse_onnx.
OnnxTensor parse_onnx_tensor(std::string_view message);

}  // namespace zoo
