// Folds batch normalisations with constant statistics into the weights of the preceding layer.
#include <cmath>

#include "backends/native/graph.h"

namespace zoo::native {

std::string_view Graph::add_constant(Constant constant) {
  names_.push_back("constant " + std::to_string(names_.size()));
  constants_.emplace(names_.back(), std::make_shared<Constant>(std::move(constant)));
  return names_.back();
}

void Graph::fold_batch_norms() {
  std::map<std::string_view, size_t> makers;
  std::map<std::string_view, size_t> uses;
  std::vector<Node> left;
  for (const Node& node : nodes_) {
    for (const std::string_view value : node.inputs) ++uses[value];
  }
  for (const std::string_view output : outputs_) ++uses[output];
  for (Node& node : nodes_) {
    if (node.op == "BatchNormalization" && node.domain.empty() && node.inputs.size() == 5 &&
        node.outputs.size() == 1 && uses[node.inputs.front()] == 1) {
      const auto maker = makers.find(node.inputs.front());
      if (maker != makers.end() && fold_batch_norm(node, &left[maker->second])) {
        makers[node.outputs.front()] = maker->second;
        continue;
      }
    }
    for (const std::string_view value : node.outputs) makers[value] = left.size();
    left.push_back(std::move(node));
  }
  nodes_ = std::move(left);
}

bool Graph::fold_batch_norm(const Node& norm, Node* layer) {
  const bool transposed = layer->op == "ConvTranspose";
  const bool rows =
      layer->op == "Conv" || (layer->op == "Gemm" && layer->integer("transB", 0) == 1);
  if (!layer->domain.empty() || layer->inputs.size() < 2 || layer->outputs.size() != 1 ||
      norm.integer("training_mode", 0) != 0 || layer->number("beta", 1.0f) != 1.0f ||
      !(rows || (transposed && layer->integer("group", 1) == 1))) {
    return false;
  }
  const Constant* const w = constant(layer->inputs[1]);
  const size_t axis = transposed ? 1 : 0;
  if (!w || w->shape.size() <= axis || w->shape[axis] < 1) return false;
  const auto outputs = static_cast<size_t>(w->shape[axis]);
  const auto numbers = [&](std::string_view value) -> const std::vector<float>* {
    const Constant* const found = constant(value);
    return found && found->floats.size() == outputs ? &found->floats : nullptr;
  };
  const auto *scale = numbers(norm.inputs[1]), *shift = numbers(norm.inputs[2]),
             *mean = numbers(norm.inputs[3]), *variance = numbers(norm.inputs[4]);
  const bool biased = layer->inputs.size() > 2 && !layer->inputs[2].empty();
  const auto* const bias = biased ? numbers(layer->inputs[2]) : nullptr;
  const size_t outer = transposed ? static_cast<size_t>(w->shape[0]) : 1;
  const size_t inner = w->floats.size() / outputs / (outer == 0 ? 1 : outer);
  if (!scale || !shift || !mean || !variance || (biased && !bias) || inner == 0 ||
      outer * outputs * inner != w->floats.size()) {
    return false;
  }
  const auto epsilon = static_cast<double>(norm.number("epsilon", 1e-5f));
  Constant weights = *w;
  Constant biases{{static_cast<int64_t>(outputs)}, std::vector<float>(outputs), {}};
  for (size_t o = 0; o < outputs; ++o) {
    const double factor = (*scale)[o] / std::sqrt(static_cast<double>((*variance)[o]) + epsilon);
    const double before = bias ? (*bias)[o] : 0.0;
    biases.floats[o] = static_cast<float>((before - (*mean)[o]) * factor + (*shift)[o]);
    for (size_t i = 0; i < outer; ++i) {
      for (size_t k = 0; k < inner; ++k) {
        float& weight = weights.floats[(i * outputs + o) * inner + k];
        weight = static_cast<float>(weight * factor);
      }
    }
  }
  layer->inputs.resize(3);
  layer->inputs[1] = add_constant(std::move(weights));
  layer->inputs[2] = add_constant(std::move(biases));
  layer->outputs = norm.outputs;
  return true;
}

}  // namespace zoo::native
