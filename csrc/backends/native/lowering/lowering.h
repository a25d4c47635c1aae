// From an engine file's graph to the operators that the native backend computes. One file for each
// group of operators matches them; this is what they share.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backends/native/graph.h"
#include "backends/native/network.h"
#include "backends/native/operators/finish.h"
#include "backends/native/operators/products.h"
#include "format/io_names.h"
#include "zoo/errors.h"
#include "zoo/manifest.h"

namespace zoo::native {

// The network of a graph. Throws BackendUnavailableError for a graph that is not of known layers:
// it names the first node that is not, and why.
Network lower(const Graph& graph, const Manifest& manifest);

// A joined map, and the channels of each part.
struct Gapped {
  size_t value;
  std::vector<size_t> parts;

  size_t channels() const;
};

class Lowering {
 public:
  Lowering(const Graph& graph, const Manifest& manifest) : graph(graph), manifest(manifest) {}

  const Graph& graph;
  const Manifest& manifest;
  Network network;
  // Values of the graph that are images as they came in, levels/255, by their names.
  std::map<std::string_view, Original> originals;
  std::string_view layer;      // the value of the graph whose node is being matched
  std::string_view styles;     // w for every layer, of a style-based network
  size_t style_value = kNone;  // w, the same for all layers; none: rows of an input
  std::set<size_t> rectified;  // values that cannot be negative
  // Joined maps, by their names in the graph, where parts end within a block, and so are followed
  // by channels of zeros.
  std::map<std::string_view, Gapped> gapped;

  [[noreturn]] static void refuse(const Node& node, const std::string& why);

  // The network's value for one of the graph's, if there is one so far.
  std::optional<size_t> find(std::string_view name) const;
  const Shape& shape(size_t value) const { return network.values[value].shape; }
  void bind(std::string_view name, size_t value) { values_[name] = value; }
  // Adds an operator that makes a new value, and returns its number.
  size_t add(std::unique_ptr<Operator> op, std::vector<size_t> inputs, const Shape& shape,
             bool wide);
  // Adds one that writes outputs.
  void add_end(std::unique_ptr<Operator> op, size_t input);
  // The operator that makes a value.
  Operator& maker(size_t value) const;
  bool is_wide(size_t value) const { return network.values[value].wide; }

  // A node that is part of a pattern, so that it is not looked at again.
  void take(const Node& node) { taken_.insert(&node); }
  bool is_taken(const Node& node) const { return taken_.count(&node) != 0; }
  // Whether an operator writes that output.
  bool is_written(std::string_view output) const;

  // The single node that takes a value; null where there are several, or it is an output too.
  const Node* only_user(std::string_view value) const;
  // The same, if it is of this operator.
  const Node* user(std::string_view value, std::string_view op) const;
  // The producer of a value, if it is of this operator.
  const Node* producer(std::string_view value, std::string_view op) const;
  const Constant* scalar(const Node& node, size_t operand) const;
  // The constant operand of a commutative operator whose other operand is `value`.
  const Constant* scalar_beside(const Node& node, std::string_view value) const;
  std::string_view operand_beside(const Node& node, std::string_view value) const;
  // A constant of so many floats; null for others.
  const Constant* floats(std::string_view value, size_t count) const;
  // Constant weights of so many axes, or the node is refused.
  const Constant& weights(const Node& node, size_t operand, size_t axes) const;
  // Of a layer's third operand; null where it has none.
  const float* bias(const Node& node, size_t outputs) const;
  // Whether an Unsqueeze adds these axes.
  bool has_axes(const Node& node, const std::vector<int64_t>& axes) const;
  // Whether a node draws noise of mean 0 and variance 1.
  bool draws_standard(const Node& drawn) const;
  // Whether the manifest has a layer whose noise is so many numbers of that stream.
  bool has_noise(uint32_t stream, size_t width) const;
  // A rectifier after a value, if there is one; it is taken.
  Activation activation(std::string_view* value);

 private:
  std::map<std::string_view, size_t> values_;
  std::set<const Node*> taken_;
};

// Each tries whether its operators begin at a node whose operands are known, or one of them is.
// True where they do: then what they make is bound.
bool match_input(Lowering& lowering, const Node& node);
bool match_view(Lowering& lowering, const Node& node);
bool match_output(Lowering& lowering, const Node& node);
bool match_dense(Lowering& lowering, const Node& node);
bool match_convolution(Lowering& lowering, const Node& node);
bool match_pixel_norm(Lowering& lowering, const Node& node);
bool match_instance_norm(Lowering& lowering, const Node& node);
bool match_style_layer(Lowering& lowering, const Node& node);
bool match_truncation(Lowering& lowering, const Node& node);
bool match_learned_map(Lowering& lowering, const Node& node);
bool match_sum(Lowering& lowering, const Node& node);
bool match_rectifier(Lowering& lowering, const Node& node);
bool match_join(Lowering& lowering, const Node& node);
bool match_dropout(Lowering& lowering, const Node& node);

// Binds the inputs of the graph that are vectors.
void read_vectors(Lowering* lowering);
// Writes the outputs that no layer writes itself.
void write_outputs(Lowering* lowering);
// Whether a value only leads to outputs that are no images, which are better kept as floats.
bool only_leaves(const Lowering& lowering, std::string_view value);

// How the numbers of an image lie: [N, C · H · W], [N, C, H, W], [N, H, W, C].
enum class Form { kVector, kChannelsFirst, kChannelsLast };

// What follows the last layer, which makes numbers in that form, if it is nothing but what makes an
// image of them; the nodes are taken, and the output is marked.
std::optional<Finish> match_finish(Lowering* lowering, std::string_view value, Form form);
void check_image(const Lowering& lowering, const Node& node, const Shape& shape);

}  // namespace zoo::native
