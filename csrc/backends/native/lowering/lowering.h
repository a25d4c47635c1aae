// Lowering of an engine file's graph to the operators of the native backend. The operators are
// matched in one file per group; this header declares what the files share.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
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

// Returns the network of a graph. Throws BackendUnavailableError if a node is not supported; the
// message names the first such node and the reason. With `bytes`, layers whose operands have a
// range in the manifest multiply bytes; throws ArgumentError if there is no such layer.
Network lower(const Graph& graph, const Manifest& manifest, bool bytes);

// Joined map, with the number of channels of each part.
struct Gapped {
  size_t value;
  std::vector<size_t> parts;

  size_t channels() const;
};

// State of a lowering, with queries of the graph.
class Lowering {
 public:
  Lowering(const Graph& graph, const Manifest& manifest, bool bytes)
      : graph(graph), manifest(manifest), bytes(bytes) {}

  const Graph& graph;
  const Manifest& manifest;
  const bool bytes;  // products of bytes are allowed
  Network network;
  // Values of the graph that are input images as levels / 255, by name.
  std::map<std::string_view, Original> originals;
  std::string_view layer;      // value computed by the node that is being matched
  std::string_view styles;     // the graph's styles w, one per layer of a style-based network
  size_t style_value = kNone;  // w shared by all layers; kNone: rows of an input
  std::set<size_t> rectified;  // values that are never negative
  // Joined maps, by name in the graph, with parts that end within a block; channels of zeros fill
  // the rest of the block.
  std::map<std::string_view, Gapped> gapped;

  [[noreturn]] static void refuse(const Node& node, const std::string& why);

  // Returns the network's value for a value of the graph, if it is bound.
  std::optional<size_t> find(std::string_view name) const;
  const Shape& shape(size_t value) const { return network.values[value].shape; }
  void bind(std::string_view name, size_t value) { values_[name] = value; }
  // Adds an operator that computes a new value, and returns the value's index.
  size_t add(std::unique_ptr<Operator> op, std::vector<size_t> inputs, const Shape& shape,
             Storage storage);
  // Adds an operator that writes outputs.
  void add_end(std::unique_ptr<Operator> op, size_t input);
  // Returns the operator that computes a value.
  Operator& maker(size_t value) const;
  Storage storage(size_t value) const { return network.values[value].storage; }
  bool is_wide(size_t value) const { return storage(value) == Storage::kWide; }

  // Marks a node as part of a matched pattern, so that it is not matched again.
  void take(const Node& node) { taken_.insert(&node); }
  bool is_taken(const Node& node) const { return taken_.count(&node) != 0; }
  // Returns true if an operator writes an output of the graph.
  bool is_written(std::string_view output) const;

  // Returns the only node that reads a value; null if there is not exactly one, or if the value is
  // also an output.
  const Node* only_user(std::string_view value) const;
  // Like only_user, but null if the node has another operator.
  const Node* user(std::string_view value, std::string_view op) const;
  // Returns the node that computes a value; null if it has another operator.
  const Node* producer(std::string_view value, std::string_view op) const;
  const Constant* scalar(const Node& node, size_t operand) const;
  // Return the operand of a commutative operator whose other operand is `value`: a scalar constant,
  // or the name of the operand.
  const Constant* scalar_beside(const Node& node, std::string_view value) const;
  std::string_view operand_beside(const Node& node, std::string_view value) const;
  // Returns a constant of `count` floats; null if the value is no such constant.
  const Constant* floats(std::string_view value, size_t count) const;
  // Returns the constant weights of a node; refuses the node if they do not have `axes` axes.
  const Constant& weights(const Node& node, size_t operand, size_t axes) const;
  // Returns the bias of a layer, its third operand; null if it has none.
  const float* bias(const Node& node, size_t outputs) const;
  // Returns true if an Unsqueeze inserts these axes.
  bool has_axes(const Node& node, const std::vector<int64_t>& axes) const;
  // Returns the noise of a layer with `width` numbers per image: the value is drawn from a stream
  // of the manifest, may be multiplied by the input `noise`, and may be a part that a Split takes
  // of that. Returns nothing for other values, and for noise of another mean or variance; refuses
  // `reader` for another width.
  std::optional<NoisePart> layer_noise(std::string_view value, size_t width, const Node& reader);
  // Encodes the operand of a layer that computes `node` as bytes, which `products` then expects,
  // and returns the result. Returns the operand itself if it has no range, is wide, or sums would
  // not fit.
  size_t encode(const Node& node, size_t operand, Products* products);
  // Returns true if a layer multiplies bytes.
  bool encodes() const { return !encoded_.empty(); }
  // Matches a rectifier after a value; if there is one, takes its node and advances `value` to its
  // result.
  Activation activation(std::string_view* value);

 private:
  // Returns true if a node draws noise with mean 0 and variance 1.
  bool draws_standard(const Node& drawn) const;

  std::map<std::string_view, size_t> values_;
  std::map<std::tuple<size_t, float, float>, size_t> encoded_;  // by value and range
  std::set<const Node*> taken_;
};

// Each function tries to match a pattern that begins at a node with at least one bound operand. If
// it matches, the function adds the operators, binds their results and returns true.
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

// Binds the vector inputs of the graph.
void read_vectors(Lowering* lowering);
// Adds operators for the outputs that no layer writes itself.
void write_outputs(Lowering* lowering);
// Returns true if a value leads only to outputs other than images, so that it should be wide.
bool only_leaves(const Lowering& lowering, std::string_view value);

// Layout of an image: [N, C · H · W], [N, C, H, W] or [N, H, W, C].
enum class Form { kVector, kChannelsFirst, kChannelsLast };

// Matches the nodes between the last layer, whose values have layout `form`, and the image output.
// Returns nullopt if other nodes follow; otherwise takes the nodes and marks the output as written.
std::optional<Finish> match_finish(Lowering* lowering, std::string_view value, Form form);
void check_image(const Lowering& lowering, const Node& node, const Shape& shape);

}  // namespace zoo::native
