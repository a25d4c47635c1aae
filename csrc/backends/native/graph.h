// An engine file's graph with its numbers, as the native backend reads it: nodes in the order in
// which they are computed, and constants, those that nodes make of constants included.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace zoo::native {

// Of a float type as floats, of an integer type as integers.
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
  // `file`: an ONNX file that has been checked (format/engine_file.h), which must outlive this.
  // Throws EngineFileError for what is damaged all the same.
  explicit Graph(std::string_view file);

  const std::vector<Node>& nodes() const { return nodes_; }

  // Null where the value is none.
  const Constant* constant(std::string_view value) const;
  // Null for an input, a constant, or what is made by none.
  const Node* producer(std::string_view value) const;
  // The nodes that take a value, once for each operand.
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
  std::deque<std::string> names_;  // of constants that were added
  std::map<std::string_view, Constant> constants_;
  std::map<std::string_view, const Node*> producers_;
  std::multimap<std::string_view, const Node*> users_;
};

}  // namespace zoo::native
