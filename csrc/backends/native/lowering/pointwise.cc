// Lowering of sums, separate rectifiers, joined maps and dropout.
#include "backends/native/operators/pointwise.h"

#include <algorithm>
#include <numeric>

#include "backends/native/lowering/lowering.h"

namespace zoo::native {
namespace {

size_t add_combine(Lowering* lowering, float slope, const std::vector<size_t>& inputs) {
  const size_t first = inputs.front();
  const size_t made = lowering->add(std::make_unique<Combine>(slope), inputs,
                                    lowering->shape(first), lowering->storage(first));
  if (slope == 0.0f) lowering->rectified.insert(made);
  return made;
}

// Returns true if the value is already part of a joined map.
bool is_joined(const Network& network, size_t value) {
  const auto users = network.users(value);
  return std::any_of(users.begin(), users.end(),
                     [&](size_t user) { return network.operators[user]->joins(); });
}

void bind_joined(Lowering* lowering, std::string_view name, size_t value,
                 const std::vector<size_t>& channels) {
  const bool whole = std::all_of(channels.begin(), channels.end() - 1,
                                 [](size_t part) { return part % kBlock == 0; });
  if (whole) {
    lowering->bind(name, value);
  } else {
    lowering->gapped[name] = {value, channels};
  }
}

}  // namespace

size_t Gapped::channels() const { return std::accumulate(parts.begin(), parts.end(), size_t{0}); }

bool match_sum(Lowering& lowering, const Node& node) {
  if (node.op != "Add" || !node.domain.empty() || node.inputs.size() != 2) return false;
  auto a = lowering.find(node.inputs[0]);
  auto b = lowering.find(node.inputs[1]);
  if (!a || !b) return false;
  const Shape& one = lowering.shape(*a);
  const Shape& other = lowering.shape(*b);
  if (one.channels != other.channels || one.height != other.height || one.width != other.width ||
      lowering.is_wide(*a) != lowering.is_wide(*b)) {
    Lowering::refuse(node, "adds maps of different shapes");
  }
  // The first operand may be overwritten, so it should be the one that no other node reads.
  if (lowering.graph.users(node.inputs[0]).size() > 1) std::swap(a, b);
  std::string_view value = node.outputs.front();
  const float slope = lowering.activation(&value).slope;
  lowering.bind(value, add_combine(&lowering, slope, {*a, *b}));
  return true;
}

bool match_rectifier(Lowering& lowering, const Node& node) {
  if ((node.op != "Relu" && node.op != "LeakyRelu") || !node.domain.empty()) return false;
  auto input = lowering.find(node.inputs.front());
  const auto joined = lowering.gapped.find(node.inputs.front());
  if (joined != lowering.gapped.end()) input = joined->second.value;
  if (!input) return false;
  const float slope = node.op == "Relu" ? 0.0f : node.number("alpha", 0.01f);
  if (!(slope >= 0.0f && slope <= 1.0f)) Lowering::refuse(node, "has a slope beyond 0 to 1");
  const bool idle = lowering.rectified.count(*input) != 0;
  const size_t made = idle ? *input : add_combine(&lowering, slope, {*input});
  if (joined != lowering.gapped.end()) {
    lowering.gapped[node.outputs.front()] = {made, joined->second.parts};
  } else {
    lowering.bind(node.outputs.front(), made);
  }
  return true;
}

bool match_join(Lowering& lowering, const Node& node) {
  if (node.op != "Concat" || !node.domain.empty() || node.integer("axis", 0) != 1) return false;
  Shape shape;
  std::vector<size_t> parts, channels;
  for (const std::string_view name : node.inputs) {
    const auto value = lowering.find(name);
    if (!value || lowering.is_wide(*value)) {
      Lowering::refuse(node, "joins values that are not maps");
    }
    const Shape& part = lowering.shape(*value);
    if (!parts.empty() && (part.height != shape.height || part.width != shape.width)) {
      Lowering::refuse(node, "joins maps of different sizes");
    }
    const bool again = std::find(parts.begin(), parts.end(), *value) != parts.end();
    const bool joined = again || is_joined(lowering.network, *value);
    parts.push_back(joined ? add_combine(&lowering, 1.0f, {*value}) : *value);
    channels.push_back(part.channels);
    shape = {shape.blocks() * kBlock + part.channels, part.height, part.width};
  }
  const size_t made = lowering.add(std::make_unique<Join>(), parts, shape, Storage::kNarrow);
  bind_joined(&lowering, node.outputs.front(), made, channels);
  return true;
}

// Matches (x · factor) · (noise > threshold): Mul, then Mul by
// Cast(Greater(Reshape(noise), threshold)).
bool match_dropout(Lowering& lowering, const Node& node) {
  if (node.op != "Mul" || !node.domain.empty()) return false;
  const auto input = lowering.find(node.inputs.front());
  const Constant* const factor = input ? lowering.scalar(node, 1) : nullptr;
  const Node* const product = factor ? lowering.user(node.outputs.front(), "Mul") : nullptr;
  const Node* const cast =
      product ? lowering.producer(lowering.operand_beside(*product, node.outputs.front()), "Cast")
              : nullptr;
  const Node* const greater = cast ? lowering.producer(cast->inputs.front(), "Greater") : nullptr;
  const Constant* const threshold = greater ? lowering.scalar(*greater, 1) : nullptr;
  const Node* const view = threshold ? lowering.producer(greater->inputs[0], "Reshape") : nullptr;
  if (!view || lowering.is_wide(*input)) return false;
  const Shape shape = lowering.shape(*input);
  const auto noise =
      lowering.layer_noise(view->inputs[0], shape.channels * shape.pixels(), *greater);
  if (!noise || noise->scale != kNone) return false;
  auto dropout = std::make_unique<Dropout>();
  dropout->noise = *noise;
  dropout->factor = factor->floats[0];
  dropout->threshold = threshold->floats[0];
  for (const Node* const each : {product, cast, greater, view}) lowering.take(*each);
  lowering.bind(product->outputs.front(),
                lowering.add(std::move(dropout), {*input}, shape, Storage::kNarrow));
  return true;
}

}  // namespace zoo::native
