#include "format/graph_check.h"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>

#include "format/tensors.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

constexpr const char* kDomain = "zoo";
constexpr const char* kNoiseOperator = "ReparametrizedSample";

std::optional<TensorType> convert_type(int type) {
  if (type == onnx_type::kFloat) return TensorType::kFloat32;
  if (type == onnx_type::kUint8) return TensorType::kUint8;
  if (type == onnx_type::kInt64) return TensorType::kInt64;
  return std::nullopt;
}

[[noreturn]] void fail(const std::string& what) { throw EngineFileError("its graph " + what); }

using Weights = std::unordered_map<std::string_view, const OnnxTensor*>;

std::vector<GraphTensor> list_tensors(const std::vector<OnnxValue>& values,
                                      const Weights& constants) {
  std::vector<GraphTensor> tensors;
  for (const OnnxValue& value : values) {
    if (constants.count(value.name) != 0) continue;
    if (!value.has_shape) fail("does not give the shape of " + quoted(value.name));
    tensors.push_back({std::string(value.name), convert_type(value.type), value.shape});
  }
  return tensors;
}

bool draws_noise(const OnnxNode& node) {
  return node.domain == kDomain && node.op == kNoiseOperator;
}

bool draws_inside(const OnnxNode& node) {
  const auto inside = [](const OnnxGraph& graph) {
    return std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const OnnxNode& inner) {
      return draws_noise(inner) || draws_inside(inner);
    });
  };
  return std::any_of(node.graphs.begin(), node.graphs.end(), inside);
}

const OnnxValue* find_value(const OnnxGraph& graph, std::string_view name) {
  const auto value = std::find_if(graph.values.begin(), graph.values.end(),
                                  [&](const OnnxValue& other) { return other.name == name; });
  return value == graph.values.end() ? nullptr : &*value;
}

// Checks the number of values that a node draws per image, if the file gives its shape.
void check_width(const OnnxGraph& graph, const OnnxNode& node, size_t width) {
  const OnnxValue* const value = find_value(graph, node.outputs.front());
  if (!value || !value->has_shape || value->shape.size() != 2 || value->shape[1] < 0) return;
  if (value->shape[1] == static_cast<int64_t>(width)) return;
  fail("draws " + std::to_string(value->shape[1]) + " numbers per image from noise stream " +
       std::to_string(node.stream.value_or(0)) + ", but its manifest says " +
       std::to_string(width));
}

// Checks that the noise operators of the main graph draw the manifest's streams, each once.
void check_streams(const Manifest& manifest, const OnnxGraph& graph, bool draws) {
  std::map<int64_t, size_t> widths;
  for (const LayerNoise& layer : manifest.layer_noise) widths[layer.stream] = layer.width;
  const bool latent = has_trait(manifest, kDrawsLatent);
  if (latent) widths[manifest.latent_stream] = manifest.latent_width;
  if (has_mixture_input(manifest)) widths[manifest.mixture.stream] = 1;
  std::set<int64_t> drawn;
  for (const OnnxNode& node : graph.nodes) {
    if (draws_inside(node)) fail("draws noise in a subgraph");
    if (!draws_noise(node)) continue;
    const int64_t stream = node.stream.value_or(0);
    const std::string name = "noise stream " + std::to_string(stream);
    const auto known = widths.find(stream);
    if (known == widths.end()) fail("draws " + name + ", which is not in its manifest");
    if (!drawn.insert(stream).second) fail("draws " + name + " twice");
    if (node.inputs[2] != io::kSeed || node.inputs[3] != io::kFirst) {
      fail("draws " + name + " with another seed than the inputs '" + io::kSeed + "' and '" +
           io::kFirst + "'");
    }
    const bool is_latent = latent && stream == static_cast<int64_t>(manifest.latent_stream);
    if (is_latent && (node.inputs[0] != io::kMu || node.inputs[1] != io::kLogvar)) {
      fail("draws the latent from other operands than the inputs '" + std::string(io::kMu) +
           "' and '" + io::kLogvar + "'");
    }
    check_width(graph, node, known->second);
  }
  if (!draws) return;
  for (const auto& known : widths) {
    if (drawn.count(known.first) != 0) continue;
    fail("does not draw noise stream " + std::to_string(known.first) + " of its manifest");
  }
}

// Returns the number of classes of the graph, if its label indexes a table or is compared with a
// list of all classes, else nullopt.
std::optional<int64_t> count_classes(const OnnxGraph& graph, const Weights& weights) {
  const auto find_weights = [&](std::string_view name) {
    const auto entry = weights.find(name);
    return entry == weights.end() ? nullptr : entry->second;
  };
  std::set<std::string_view> labels = {io::kLabel};
  for (const OnnxNode& node : graph.nodes) {
    const auto is_label = [&](std::string_view name) { return labels.count(name) != 0; };
    if (node.inputs.empty() || !node.domain.empty()) continue;
    if (std::set<std::string_view>{"Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze"}.count(
            node.op) != 0) {
      if (is_label(node.inputs[0])) labels.insert(node.outputs[0]);
      continue;
    }
    if (node.inputs.size() < 2) continue;
    if (node.op == "Gather" && is_label(node.inputs[1])) {
      const OnnxTensor* const table = find_weights(node.inputs[0]);
      if (table && !table->shape.empty()) return table->shape.front();
    }
    for (const int list : {0, 1}) {
      if (node.op != "Equal" || !is_label(node.inputs[1 - list])) continue;
      const OnnxTensor* const all = find_weights(node.inputs[list]);
      if (all && !all->shape.empty()) return all->shape.back();
    }
  }
  return std::nullopt;
}

}  // namespace

void check_graph(const std::string& path, const Manifest& manifest, const OnnxModel& model) {
  // The runtime does not run the other roles.
  if (!has_trait(manifest, kRuns)) return;
  const std::string file = "engine file '" + path + "': ";
  const OnnxGraph& graph = model.graph;
  std::vector<GraphTensor> inputs;
  std::vector<GraphTensor> outputs;
  bool draws = false;
  Weights weights;
  for (const OnnxTensor& tensor : graph.initializers) weights.emplace(tensor.name, &tensor);
  try {
    // An input that shares its name with weights is a constant to every backend.
    inputs = list_tensors(graph.inputs, weights);
    outputs = list_tensors(graph.outputs, {});
    draws = std::any_of(inputs.begin(), inputs.end(),
                        [](const GraphTensor& input) { return input.name == io::kSeed; });
    for (const OnnxFunction& function : model.functions) {
      for (const OnnxNode& node : function.nodes) {
        if (draws_noise(node) || draws_inside(node)) fail("draws noise in a function");
      }
    }
    if (manifest.condition_classes != 0) {
      const auto classes = count_classes(graph, weights);
      if (classes && *classes != static_cast<int64_t>(manifest.condition_classes)) {
        fail("has " + std::to_string(*classes) +
             " classes, but condition.count in its manifest is " +
             std::to_string(manifest.condition_classes));
      }
    }
    check_streams(manifest, graph, draws);
  } catch (const EngineFileError& error) {
    throw EngineFileError(file + error.what());
  }
  check_tensors(path, manifest, draws, inputs, outputs);
}

}  // namespace zoo
