#include "backends/native/lowering/lowering.h"

#include <algorithm>
#include <stdexcept>

#include "format/io_names.h"
#include "zoo/errors.h"

namespace zoo::native {
namespace {

constexpr bool (*kMatchers[])(Lowering&, const Node&) = {
    match_input, match_view,        match_pixel_norm,    match_truncation, match_style_layer,
    match_dense, match_convolution, match_instance_norm, match_dropout,    match_join,
    match_sum,   match_rectifier,   match_output,
};

// Returns the number of operands that a node must have, so that the matchers can access them
// without checks.
size_t least_operands(std::string_view op) {
  for (const char* const two :
       {"Add", "Conv", "ConvTranspose", "Div", "Equal", "Expand", "Gather", "Gemm", "Greater",
        "Mul", "Pow", "ReparametrizedSample", "Reshape", "Sub", "Unsqueeze"}) {
    if (op == two) return 2;
  }
  return op == "InstanceNormalization" || op == "Slice" ? 3 : 1;
}

void check_operands(const Node& node) {
  if (node.outputs.empty() || node.inputs.size() < least_operands(node.op)) {
    Lowering::refuse(node, "has too few operands");
  }
}

bool has_operand(const Lowering& lowering, const Node& node) {
  return std::any_of(node.inputs.begin(), node.inputs.end(), [&](std::string_view value) {
    return lowering.find(value) || lowering.originals.count(value) != 0 ||
           lowering.gapped.count(value) != 0;
  });
}

bool is_input(std::string_view value) { return value == io::kImage || value == io::kInput; }

// Removes operators whose values are not read, such as input images used only by the last layer.
void drop_unused(Network* network) {
  auto& operators = network->operators;
  for (size_t i = operators.size(); i-- > 0;) {
    const size_t made = operators[i]->output;
    if (made != kNone && network->users(made).empty()) {
      operators.erase(operators.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
}

}  // namespace

void Lowering::refuse(const Node& node, const std::string& why) {
  const std::string_view name = node.outputs.empty() ? node.name : node.outputs.front();
  throw BackendUnavailableError("backend native: its graph's node '" + std::string(name) + "' (" +
                                std::string(node.op) + ") " + why + ": use backend='onnxruntime'");
}

std::optional<size_t> Lowering::find(std::string_view name) const {
  const auto at = values_.find(name);
  return at == values_.end() ? std::nullopt : std::optional<size_t>(at->second);
}

size_t Lowering::add(std::unique_ptr<Operator> op, std::vector<size_t> inputs, const Shape& shape,
                     Storage storage) {
  op->layer = layer;
  op->inputs = std::move(inputs);
  op->output = network.add_value(shape, storage);
  network.operators.push_back(std::move(op));
  return network.operators.back()->output;
}

void Lowering::add_end(std::unique_ptr<Operator> op, size_t input) {
  op->layer = layer;
  op->inputs = {input};
  network.operators.push_back(std::move(op));
}

Operator& Lowering::maker(size_t value) const {
  for (const auto& op : network.operators) {
    if (op->output == value) return *op;
  }
  throw std::logic_error("a value has no operator");
}

bool Lowering::is_written(std::string_view output) const {
  const auto& outputs = network.outputs;
  return std::find(outputs.begin(), outputs.end(), output) != outputs.end();
}

const Node* Lowering::only_user(std::string_view value) const {
  const auto users = graph.users(value);
  return users.size() == 1 && !graph.is_output(value) ? users.front() : nullptr;
}

const Node* Lowering::user(std::string_view value, std::string_view op) const {
  const Node* const node = only_user(value);
  return node && node->op == op && node->domain.empty() ? node : nullptr;
}

const Node* Lowering::producer(std::string_view value, std::string_view op) const {
  const Node* const node = graph.producer(value);
  const bool standard = node && (node->domain.empty() || node->domain == "zoo");
  return standard && node->op == op ? node : nullptr;
}

const Constant* Lowering::scalar(const Node& node, size_t operand) const {
  return operand < node.inputs.size() ? floats(node.inputs[operand], 1) : nullptr;
}

const Constant* Lowering::scalar_beside(const Node& node, std::string_view value) const {
  if (node.inputs.size() != 2) return nullptr;
  return scalar(node, node.inputs[0] == value ? 1 : 0);
}

std::string_view Lowering::operand_beside(const Node& node, std::string_view value) const {
  if (node.inputs.size() != 2) return {};
  return node.inputs[node.inputs[0] == value ? 1 : 0];
}

const Constant* Lowering::floats(std::string_view value, size_t count) const {
  const Constant* const constant = graph.constant(value);
  return constant && constant->floats.size() == count ? constant : nullptr;
}

const Constant& Lowering::weights(const Node& node, size_t operand, size_t axes) const {
  const Constant* const constant =
      operand < node.inputs.size() ? graph.constant(node.inputs[operand]) : nullptr;
  if (!constant || constant->floats.empty() || constant->shape.size() != axes) {
    refuse(node, "has weights that are not constant");
  }
  size_t size = 1;
  for (const int64_t side : constant->shape) {
    const bool fits = side > 0 && static_cast<size_t>(side) <= constant->floats.size();
    size *= fits ? static_cast<size_t>(side) : 0;
  }
  if (size != constant->floats.size()) {
    refuse(node, "has weights whose size does not match their shape");
  }
  return *constant;
}

const float* Lowering::bias(const Node& node, size_t outputs) const {
  if (node.inputs.size() < 3 || node.inputs[2].empty()) return nullptr;
  const Constant& constant = weights(node, 2, 1);
  if (constant.floats.size() != outputs) {
    refuse(node, "has a bias whose size is not the number of outputs");
  }
  return constant.floats.data();
}

bool Lowering::has_axes(const Node& node, const std::vector<int64_t>& axes) const {
  const Constant* const constant = graph.constant(node.inputs[1]);
  return constant && constant->integers == axes;
}

bool Lowering::draws_standard(const Node& drawn) const {
  return std::all_of(drawn.inputs.begin(), drawn.inputs.begin() + 2, [&](std::string_view value) {
    const Node* const spread = producer(value, "Expand");
    const Constant* const constant = graph.constant(spread ? spread->inputs.front() : value);
    return constant && !constant->floats.empty() &&
           std::all_of(constant->floats.begin(), constant->floats.end(),
                       [](float number) { return number == 0.0f; });
  });
}

std::optional<NoisePart> Lowering::layer_noise(std::string_view value, size_t width,
                                               const Node& reader) {
  NoisePart part;
  part.stride = width;
  size_t part_width = width;
  if (const Node* const split = producer(value, "Split")) {
    const Constant* const sizes =
        split->inputs.size() == 2 ? graph.constant(split->inputs[1]) : nullptr;
    if (!sizes || sizes->integers.size() != split->outputs.size() ||
        split->integer("axis", 0) != 1) {
      return std::nullopt;
    }
    part.stride = 0;
    for (size_t i = 0; i < split->outputs.size(); ++i) {
      const auto size = static_cast<size_t>(sizes->integers[i]);
      if (sizes->integers[i] < 0 || size > kNone - part.stride) return std::nullopt;
      if (split->outputs[i] == value) {
        part.first = part.stride;
        part_width = size;
      }
      part.stride += size;
    }
    value = split->inputs[0];
  }
  const Node* const product = producer(value, "Mul");
  const bool scaled = product && product->inputs[1] == io::kNoise;
  if (scaled) value = product->inputs[0];
  const Node* const drawn = producer(value, "ReparametrizedSample");
  if (!drawn || !draws_standard(*drawn)) return std::nullopt;
  const auto stream = static_cast<uint32_t>(drawn->integer("stream", 0));
  const auto& layers = manifest.layer_noise;
  const bool known = std::any_of(layers.begin(), layers.end(), [&](const LayerNoise& layer) {
    return layer.stream == stream && layer.width == part.stride;
  });
  if (!known || part_width != width) {
    refuse(reader, "reads noise whose size does not match the map");
  }
  part.tensor = network.input(io::layer_noise(stream));
  if (scaled) part.scale = network.input(io::kNoise);
  return part;
}

size_t Lowering::encode(const Node& node, size_t operand, Products* products) {
  const auto range = manifest.int8_ranges.find(std::string(node.outputs.front()));
  if (!bytes || range == manifest.int8_ranges.end() || is_wide(operand) ||
      !products->fits_bytes()) {
    return operand;
  }
  const auto [low, high] = range->second;
  products->code = ByteCode::of_range(low, high);
  const auto [encoded, added] = encoded_.emplace(std::tuple(operand, low, high), kNone);
  if (added) {
    encoded->second = add(std::make_unique<Quantize>(*products->code), {operand}, shape(operand),
                          Storage::kBytes);
  }
  return encoded->second;
}

Activation Lowering::activation(std::string_view* value) {
  const Node* node = user(*value, "Relu");
  float slope = 0.0f;
  if (!node) {
    node = user(*value, "LeakyRelu");
    if (!node) return {1.0f};
    slope = node->number("alpha", 0.01f);
    if (!(slope >= 0.0f && slope <= 1.0f)) refuse(*node, "has a slope beyond 0 to 1");
  }
  take(*node);
  *value = node->outputs.front();
  return {slope};
}

Network lower(const Graph& graph, const Manifest& manifest, bool bytes) {
  Lowering lowering(graph, manifest, bytes);
  for (const Node& node : graph.nodes()) check_operands(node);
  read_vectors(&lowering);
  std::vector<const Node*> unknown;
  for (const Node& node : graph.nodes()) {
    if (lowering.is_taken(node) || node.op == "Shape") continue;
    lowering.layer = node.outputs.front();
    match_learned_map(lowering, node);
    const bool begins = std::any_of(node.inputs.begin(), node.inputs.end(), is_input);
    if (!begins && !has_operand(lowering, node)) continue;
    const bool standard = node.domain.empty() || node.domain == "zoo";
    const bool known =
        standard && std::any_of(std::begin(kMatchers), std::end(kMatchers),
                                [&](auto* const matches) { return matches(lowering, node); });
    if (!known) unknown.push_back(&node);
  }
  for (const Node* const node : unknown) {
    if (!lowering.is_taken(*node)) Lowering::refuse(*node, "is not of an operator that it knows");
  }
  write_outputs(&lowering);
  drop_unused(&lowering.network);
  if (bytes && !lowering.encodes()) {
    throw ArgumentError(
        "precision: the ranges in the engine's manifest are of no layer that the backend native "
        "computes in int8");
  }
  return std::move(lowering.network);
}

}  // namespace zoo::native
