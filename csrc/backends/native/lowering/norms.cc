// Lowering of normalisations and of the layers of style-based networks.
#include "backends/native/operators/norms.h"

#include <algorithm>

#include "backends/native/lowering/lowering.h"
#include "backends/native/operators/ends.h"
#include "format/tensors.h"

namespace zoo::native {
namespace {

bool all_are(const std::vector<int64_t>& values, int64_t wanted) {
  return std::all_of(values.begin(), values.end(), [&](int64_t value) { return value == wanted; });
}

bool same_numbers(const Constant* constant, const Constant& other) {
  return constant && constant->floats == other.floats;
}

bool all_are(const Constant* constant, float wanted) {
  return constant && std::all_of(constant->floats.begin(), constant->floats.end(),
                                 [&](float number) { return number == wanted; });
}

void add_pixel_norm(Lowering* lowering, size_t input, float epsilon, const Node& last) {
  const Shape shape = lowering->shape(input);
  lowering->bind(last.outputs.front(),
                 lowering->add(std::make_unique<PixelNorm>(shape.channels, epsilon), {input}, shape,
                               lowering->storage(input)));
}

// Returns the node that divides a value by a root; null if there is none.
const Node* division(const Lowering& lowering, std::string_view value, const Node& root) {
  const Node* const node = lowering.user(root.outputs.front(), "Div");
  return node && node->inputs[0] == value ? node : nullptr;
}

// Refuses an epsilon that is not positive: zeros, such as the padding around the image, would
// become NaN.
float epsilon_above_zero(const Node& node, float epsilon) {
  if (!(epsilon > 0.0f)) Lowering::refuse(node, "adds no epsilon above 0");
  return epsilon;
}

// Returns true if a mean is taken over the channels, which remain as an axis of length 1.
bool is_mean_of_channels(const Lowering& lowering, const Node& mean) {
  const Constant* const operand =
      mean.inputs.size() > 1 ? lowering.graph.constant(mean.inputs[1]) : nullptr;
  const auto axes = operand ? operand->integers : mean.integers("axes");
  return axes == std::vector<int64_t>{1} && mean.integer("keepdims", 1) == 1;
}

// Matches x / √(mean(x²) + ε) for a vector, beginning at its square.
bool match_vector_norm(Lowering* lowering, const Node& power) {
  const std::string_view value = power.inputs.front();
  const size_t input = *lowering->find(value);
  const Constant* const exponent = lowering->scalar(power, 1);
  const Node* const mean = lowering->user(power.outputs.front(), "ReduceMean");
  if (!exponent || exponent->floats[0] != 2.0f || !mean || !is_mean_of_channels(*lowering, *mean) ||
      lowering->shape(input).pixels() != 1) {
    return false;
  }
  const Node* const sum = lowering->user(mean->outputs.front(), "Add");
  const Constant* const epsilon =
      sum ? lowering->scalar_beside(*sum, mean->outputs.front()) : nullptr;
  const Node* const root = sum ? lowering->user(sum->outputs.front(), "Sqrt") : nullptr;
  const Node* const divide = root ? division(*lowering, value, *root) : nullptr;
  if (!epsilon || !divide) return false;
  for (const Node* const node : {mean, sum, root, divide}) lowering->take(*node);
  add_pixel_norm(lowering, input, epsilon_above_zero(*sum, epsilon->floats[0]), *divide);
  return true;
}

// Returns true if a constant has one value per channel of a map, [C, 1, 1] or [1, C, 1, 1].
bool is_of_channels(const Constant& constant, size_t channels) {
  std::vector<int64_t> shape = constant.shape;
  if (shape.size() == 4 && shape.front() == 1) shape.erase(shape.begin());
  return shape == std::vector<int64_t>{static_cast<int64_t>(channels), 1, 1};
}

// Returns true if a node reshapes [N, H · W] to [N, 1, H, W].
bool is_view_of_pixels(const Lowering& lowering, const Node& view, const Shape& shape) {
  const Constant* const axes = lowering.graph.constant(view.inputs[1]);
  const auto side = [&](size_t axis) { return static_cast<size_t>(axes->integers[axis]); };
  return axes && axes->integers.size() == 4 && side(1) == 1 && side(2) == shape.height &&
         side(3) == shape.width;
}

// Matches the noise of a layer: strength · view(noise · scale), or strength · view(noise).
void match_noise(Lowering* lowering, const Node& product, InstanceNorm* layer) {
  const Shape& shape = layer->shape;
  const Constant* const factors = lowering->floats(product.inputs[1], shape.channels);
  const Node* const view = lowering->producer(product.inputs[0], "Reshape");
  const auto noise = factors && is_of_channels(*factors, shape.channels) && view &&
                             is_view_of_pixels(*lowering, *view, shape)
                         ? lowering->layer_noise(view->inputs[0], shape.pixels(), product)
                         : std::nullopt;
  if (!noise) Lowering::refuse(product, "is no noise of a layer");
  layer->strength.assign(factors->floats.begin(), factors->floats.end());
  layer->strength.resize(shape.blocks() * kBlock, 0.0f);
  layer->noise = *noise;
}

// Matches the style of a layer: w, or the layer's row of it.
size_t match_style(Lowering* lowering, const Node& chosen, size_t width) {
  if (lowering->style_value != kNone) return lowering->style_value;
  const Constant* const number = lowering->graph.constant(chosen.inputs[1]);
  const size_t layers = lowering->manifest.latent_width / width;
  if (!number || number->integers.size() != 1 || number->integers[0] < 0 ||
      static_cast<size_t>(number->integers[0]) >= layers) {
    Lowering::refuse(chosen, "does not select a style of the latent");
  }
  auto read = std::make_unique<Read>();
  read->shape = {width, 1, 1};
  Part part{Part::kNumbers, lowering->network.input(io::kLatent), width,
            lowering->manifest.latent_width};
  part.offset = static_cast<size_t>(number->integers[0]) * width;
  read->parts.push_back(part);
  return lowering->add(std::move(read), {}, {width, 1, 1}, Storage::kWide);
}

// Matches the affine map from w to the scale and shift of each channel; both are padded to whole
// blocks.
size_t match_affine(Lowering* lowering, const Node& split, const Shape& shape) {
  const Node* const wide = lowering->producer(split.inputs.front(), "Unsqueeze");
  const Node* const dense = wide ? lowering->producer(wide->inputs.front(), "Gemm") : nullptr;
  const Node* const chosen = dense ? lowering->producer(dense->inputs.front(), "Gather") : nullptr;
  if (!chosen || chosen->inputs[0] != lowering->styles || chosen->integer("axis", 0) != 1 ||
      dense->integer("transB", 0) != 1 || split.integer("axis", 0) != 1 ||
      !lowering->has_axes(*wide, {2, 3})) {
    Lowering::refuse(split, "is not the style of a layer");
  }
  const Constant& w = lowering->weights(*dense, 1, 2);
  const size_t channels = shape.channels, width = static_cast<size_t>(w.shape[1]);
  if (static_cast<size_t>(w.shape[0]) != 2 * channels) {
    Lowering::refuse(*dense, "computes a style whose size does not match the channels of the map");
  }
  const float* const b = lowering->bias(*dense, 2 * channels);
  const size_t style = match_style(lowering, *chosen, width);
  if (lowering->shape(style).channels != width) {
    Lowering::refuse(*dense, "reads a style of a different width");
  }
  auto affine = std::make_unique<Products>();
  affine->in = {width, 1, 1};
  affine->out = {2 * shape.blocks() * kBlock, 1, 1};
  affine->phases.push_back({0, 0, {{0, 0, 0}}, 0});
  affine->allocate(1, 1);
  for (size_t c = 0; c < 2 * channels; ++c) {
    const size_t to = c < channels ? c : c - channels + shape.blocks() * kBlock;
    if (b) affine->set_bias(0, to, b[c]);
    for (size_t k = 0; k < width; ++k) affine->set_weight(0, k, to, w.floats[c * width + k]);
  }
  const Shape out = affine->out;
  for (const Node* const node : {wide, dense, chosen}) lowering->take(*node);
  return lowering->add(std::move(affine), {style}, out, Storage::kWide);
}

// Reads a depthwise 3×3 convolution.
void read_blur(const Lowering& lowering, const Node& node, InstanceNorm* norm) {
  const Constant& w = lowering.weights(node, 1, 4);
  const size_t channels = norm->shape.channels;
  if (static_cast<size_t>(node.integer("group", 1)) != channels || w.shape[1] != 1 ||
      w.shape[2] != 3 || w.shape[3] != 3 || node.integers("pads").size() != 4 ||
      !all_are(node.integers("pads"), 1) || !all_are(node.integers("strides"), 1) ||
      !all_are(node.integers("dilations"), 1)) {
    Lowering::refuse(node, "is a convolution of an unknown kind");
  }
  norm->blur.assign(9 * norm->bias.size(), 0.0f);
  const float* const b = lowering.bias(node, channels);
  for (size_t c = 0; c < channels; ++c) {
    if (b) norm->bias[c] = b[c];
    for (size_t place = 0; place < 9; ++place) {
      norm->blur[(c / kBlock * 9 + place) * kBlock + c % kBlock] = w.floats[c * 9 + place];
    }
  }
}

}  // namespace

// Matches the pixel normalisation of a map: its square, the mean as a 1×1 convolution with bias ε,
// the root, and the division.
bool match_pixel_norm(Lowering& lowering, const Node& node) {
  const auto input = node.inputs.empty() ? std::nullopt : lowering.find(node.inputs.front());
  if (!input || !node.domain.empty()) return false;
  if (node.op == "Pow") return match_vector_norm(&lowering, node);
  const std::string_view value = node.inputs.front();
  if (node.op != "Mul" || node.inputs[1] != value) return false;
  const size_t channels = lowering.shape(*input).channels;
  const Node* const mean = lowering.user(node.outputs.front(), "Conv");
  const Constant* const share = mean ? lowering.floats(mean->inputs[1], channels) : nullptr;
  const Constant* const epsilon = mean ? lowering.scalar(*mean, 2) : nullptr;
  const Node* const root = mean ? lowering.user(mean->outputs.front(), "Sqrt") : nullptr;
  const Node* const divide = root ? division(lowering, value, *root) : nullptr;
  if (!epsilon || !divide || !all_are(share, 1.0f / static_cast<float>(channels)) ||
      mean->integer("group", 1) != 1 || !all_are(mean->integers("pads"), 0) ||
      !all_are(mean->integers("strides"), 1)) {
    return false;
  }
  for (const Node* const each : {mean, root, divide}) lowering.take(*each);
  add_pixel_norm(&lowering, *input, epsilon_above_zero(*mean, epsilon->floats[0]), *divide);
  return true;
}

// Matches the truncation w̄ + ψ (w - w̄), repeated for every layer.
bool match_truncation(Lowering& lowering, const Node& subtract) {
  const auto input = lowering.find(subtract.inputs.front());
  if (!input || subtract.op != "Sub" || !lowering.is_wide(*input)) return false;
  const Shape shape = lowering.shape(*input);
  const Constant* const mean = lowering.floats(subtract.inputs[1], shape.channels);
  const Node* const scaled = lowering.user(subtract.outputs.front(), "Mul");
  const Node* const moved = scaled ? lowering.user(scaled->outputs.front(), "Add") : nullptr;
  if (!mean || !moved || scaled->inputs[0] != io::kTruncation ||
      !same_numbers(lowering.graph.constant(moved->inputs[0]), *mean)) {
    return false;
  }
  const Node* const wide = lowering.user(moved->outputs.front(), "Unsqueeze");
  const Node* const repeated = wide ? lowering.user(wide->outputs.front(), "Expand") : nullptr;
  if (!repeated || !lowering.has_axes(*wide, {1})) {
    Lowering::refuse(*moved, "does not repeat the style for every layer");
  }
  auto truncate = std::make_unique<Truncate>();
  truncate->truncation = lowering.network.input(io::kTruncation);
  truncate->mean = mean->floats;
  for (const Node* const node : {scaled, moved, wide, repeated}) lowering.take(*node);
  lowering.styles = repeated->outputs.front();
  lowering.style_value = lowering.add(std::move(truncate), {*input}, shape, Storage::kWide);
  return true;
}

// Matches the learned constant at the beginning of a style-based network.
bool match_learned_map(Lowering& lowering, const Node& node) {
  if (lowering.styles.empty() || node.op != "Add" || !node.domain.empty() ||
      lowering.find(node.inputs[0])) {
    return false;
  }
  const Constant* const learned = lowering.graph.constant(node.inputs[0]);
  if (!learned || learned->floats.empty() || learned->shape.size() != 4 || learned->shape[0] != 1) {
    return false;
  }
  const auto side = [&](size_t axis) { return static_cast<size_t>(learned->shape[axis]); };
  auto map = std::make_unique<LearnedMap>();
  const Shape shape{side(1), side(2), side(3)};
  map->shape = shape;
  map->values = learned->floats;
  lowering.bind(node.inputs[0], lowering.add(std::move(map), {}, shape, Storage::kNarrow));
  return true;
}

// Matches a layer of a style-based network: [blur,] noise, leaky ReLU, instance normalisation,
// style.
bool match_style_layer(Lowering& lowering, const Node& node) {
  const auto input = node.inputs.empty() ? std::nullopt : lowering.find(node.inputs.front());
  if (!input || lowering.styles.empty() || !node.domain.empty()) return false;
  const Shape shape = lowering.shape(*input);
  auto layer = std::make_unique<InstanceNorm>(shape);
  const Node* sum = &node;
  if (node.op == "Conv" && node.integer("group", 1) != 1) {
    read_blur(lowering, node, layer.get());
    sum = lowering.user(node.outputs.front(), "Add");
  }
  if (!sum || sum->op != "Add") return false;
  const Node* const product = lowering.producer(sum->inputs[1], "Mul");
  if (!product) return false;
  match_noise(&lowering, *product, layer.get());
  std::string_view value = sum->outputs.front();
  layer->slope = lowering.activation(&value).slope;
  const Node* const norm = lowering.user(value, "InstanceNormalization");
  const Node* const scaled = norm ? lowering.user(norm->outputs.front(), "Mul") : nullptr;
  const Node* const shifted = scaled ? lowering.user(scaled->outputs.front(), "Add") : nullptr;
  if (!shifted) Lowering::refuse(*sum, "is not part of a layer with a style");
  const Node* const split = lowering.producer(scaled->inputs[1], "Split");
  if (!split || split->outputs.size() != 2 || scaled->inputs[1] != split->outputs[0] ||
      shifted->inputs[1] != split->outputs[1]) {
    Lowering::refuse(*scaled, "is not a style");
  }
  if (!all_are(lowering.floats(norm->inputs[1], shape.channels), 1.0f) ||
      !all_are(lowering.floats(norm->inputs[2], shape.channels), 0.0f)) {
    Lowering::refuse(*norm, "has a scale or a bias of its own");
  }
  layer->epsilon = epsilon_above_zero(*norm, norm->number("epsilon", 1e-5f));
  const size_t affine = match_affine(&lowering, *split, shape);
  for (const Node* const each : {sum, product, norm, scaled, shifted, split}) lowering.take(*each);
  lowering.bind(shifted->outputs.front(),
                lowering.add(std::move(layer), {*input, affine}, shape, Storage::kNarrow));
  return true;
}

bool match_instance_norm(Lowering& lowering, const Node& node) {
  if (node.op != "InstanceNormalization" || !node.domain.empty()) return false;
  const auto input = lowering.find(node.inputs.front());
  if (!input || lowering.is_wide(*input)) return false;
  const Shape shape = lowering.shape(*input);
  const Constant* const scale = lowering.floats(node.inputs[1], shape.channels);
  const Constant* const shift = lowering.floats(node.inputs[2], shape.channels);
  if (!scale || !shift) Lowering::refuse(node, "has a scale or a bias that is not constant");
  auto norm = std::make_unique<InstanceNorm>(shape);
  std::copy(scale->floats.begin(), scale->floats.end(), norm->scale.begin());
  std::copy(shift->floats.begin(), shift->floats.end(), norm->shift.begin());
  norm->epsilon = epsilon_above_zero(node, node.number("epsilon", 1e-5f));
  std::string_view value = node.outputs.front();
  norm->end_slope = lowering.activation(&value).slope;
  const bool positive = norm->end_slope == 0.0f;
  const size_t made = lowering.add(std::move(norm), {*input}, shape, Storage::kNarrow);
  if (positive) lowering.rectified.insert(made);
  lowering.bind(value, made);
  return true;
}

}  // namespace zoo::native
