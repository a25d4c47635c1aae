// Graph of an engine file as read by the native backend: nodes in execution order, and constants,
// including those that nodes derive from constants.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace zoo::native {

// Constant tensor; float types are held in `floats`, integer types in `integers`.
struct Constant {
  std::vector<int64_t> shape;
  std::vector<float> floats;
  std::vector<int64_t> integers;

  bool is_scalar() const { return floats.size() == 1; }
};

struct Attribute {
  int64_t integer = 0;
  float number = 0.0f;
  std::string_view text;
  std::string_view tensor;  // onnx.TensorProto
  std::vector<int64_t> integers;
};

struct Node {
  std::string_view name;
  std::string_view op;
  std::string_view domain;
  std::vector<std::string_view> inputs;
  std::vector<std::string_view> outputs;
  std::map<std::string_view, Attribute> attributes;

  int64_t integer(std::string_view attribute, int64_t otherwise) const;
  float number(std::string_view attribute, float otherwise) const;
  std::vector<int64_t> integers(std::string_view attribute) const;
};

class Graph {
 public:
  // Reads a graph from an ONNX file that format/engine_file.h has checked. `file` must outlive the
  // graph. Throws EngineFileError if the file is damaged in a way that the check did not detect.
  explicit Graph(std::string_view file);

  const std::vector<Node>& nodes() const { return nodes_; }

  // Returns the constant of this name; null if the value is not a constant.
  const Constant* constant(std::string_view value) const;
  // Returns the node that computes a value; null for inputs, constants and unknown values.
  const Node* producer(std::string_view value) const;
  // Returns the nodes that read a value, once per operand.
  std::vector<const Node*> users(std::string_view value) const;
  bool is_output(std::string_view value) const;
  const std::vector<std::string_view>& outputs() const { return outputs_; }

 private:
  void fold_constants();
  void fold_batch_norms();
  bool fold_batch_norm(const Node& norm, Node* layer);
  std::string_view add_constant(Constant constant);

  std::vector<Node> nodes_;
  std::vector<std::string_view> outputs_;
  std::deque<std::string> names_;  // of the constants added by add_constant
  std::map<std::string_view, std::shared_ptr<const Constant>> constants_;
  std::map<std::string_view, const Node*> producers_;
  std::multimap<std::string_view, const Node*> users_;
};

}  // namespace zoo::native
