// Lowering of inputs, outputs and reshapes.
#include "backends/native/operators/ends.h"

#include <algorithm>

#include "backends/backend.h"
#include "backends/native/lowering/lowering.h"
#include "format/tensors.h"

namespace zoo::native {
namespace {

// onnx.TensorProto.DataType
constexpr int64_t kFloatType = 1;

// Returns the operator that reads a value from the inputs; null for computed values.
const Read* read_of(const Lowering& lowering, size_t value) {
  return dynamic_cast<const Read*>(&lowering.maker(value));
}

size_t add_read(Lowering* lowering, const Shape& shape, const std::vector<Part>& parts,
                Storage storage) {
  auto read = std::make_unique<Read>();
  read->shape = shape;
  read->parts = parts;
  return lowering->add(std::move(read), {}, shape, storage);
}

// Returns true if the network computes styles. The vectors before the styles are floats in every
// precision, because rounding a style affects the image more than rounding a pixel.
bool makes_styles(const Lowering& lowering) {
  return has_trait(lowering.manifest, kMakesStyles) || truncates(lowering.manifest);
}

// Matches a one-hot encoded class: Cast(Equal(Unsqueeze(label), [0, 1, …])).
std::optional<Part> match_classes(Lowering* lowering, std::string_view value) {
  const Node* node = lowering->graph.producer(value);
  while (node && node->op == "Cast") node = lowering->graph.producer(node->inputs.front());
  if (!node || node->op != "Equal") return std::nullopt;
  const Constant* const numbers = lowering->graph.constant(node->inputs[1]);
  const Node* const label = lowering->producer(node->inputs[0], "Unsqueeze");
  if (!numbers || numbers->integers.size() != lowering->manifest.condition_classes || !label ||
      label->inputs.front() != io::kLabel ||
      !(lowering->has_axes(*label, {-1}) || lowering->has_axes(*label, {1}))) {
    Lowering::refuse(*node, "does not compare the class with every class");
  }
  for (size_t i = 0; i < numbers->integers.size(); ++i) {
    if (numbers->integers[i] != static_cast<int64_t>(i)) {
      Lowering::refuse(*node, "compares classes that are not in order");
    }
  }
  return Part{Part::kClass, lowering->network.input(io::kLabel), numbers->integers.size()};
}

// Matches attributes repeated at every pixel: Expand(Unsqueeze(attributes), …).
std::optional<Part> match_attributes(Lowering* lowering, std::string_view value) {
  const Node* const spread = lowering->producer(value, "Expand");
  const Node* const view =
      spread ? lowering->producer(spread->inputs.front(), "Unsqueeze") : nullptr;
  if (!view || view->inputs.front() != io::kAttributes || !lowering->has_axes(*view, {2, 3})) {
    return std::nullopt;
  }
  return Part{Part::kRepeated, lowering->network.input(io::kAttributes),
              lowering->manifest.condition_names.size()};
}

// Returns the shape of the result of a Reshape, Flatten or Unsqueeze of [N, …]; nullopt if it is
// not constant or rows would be mixed.
std::optional<Shape> viewed(const Lowering& lowering, const Node& node, const Shape& shape) {
  const size_t size = shape.channels * shape.pixels();
  if (node.op == "Flatten") {
    return node.integer("axis", 1) == 1 ? std::optional<Shape>(Shape{size, 1, 1}) : std::nullopt;
  }
  const Constant* const axes =
      node.inputs.size() > 1 ? lowering.graph.constant(node.inputs[1]) : nullptr;
  if (!axes) return std::nullopt;
  if (node.op == "Unsqueeze") {
    // The spatial axes are added by one Unsqueeze or by two in sequence.
    const bool behind = std::all_of(axes->integers.begin(), axes->integers.end(),
                                    [](int64_t axis) { return axis >= 2; });
    return behind && shape.pixels() == 1 ? std::optional<Shape>(shape) : std::nullopt;
  }
  for (size_t axis = 1; axis < axes->integers.size(); ++axis) {
    const int64_t side = axes->integers[axis];
    const bool rest = side == -1 && axes->integers.size() == 2 && axes->integers[0] == 0;
    if (!rest && (side < 1 || static_cast<size_t>(side) > size)) return std::nullopt;
  }
  const auto side = [&](size_t axis) { return static_cast<size_t>(axes->integers[axis]); };
  if (axes->integers.size() == 2) {
    const bool whole = axes->integers[1] == -1 || side(1) == size;
    return whole ? std::optional<Shape>(Shape{size, 1, 1}) : std::nullopt;
  }
  if (axes->integers.size() != 4) return std::nullopt;
  const Shape view{side(1), side(2), side(3)};
  return view.channels * view.pixels() == size ? std::optional<Shape>(view) : std::nullopt;
}

bool same(const Shape& a, const Shape& b) {
  return a.channels == b.channels && a.height == b.height && a.width == b.width;
}

}  // namespace

void read_vectors(Lowering* lowering) {
  const Manifest& manifest = lowering->manifest;
  const std::string name = input_name(manifest);
  if (!has_trait(manifest, kHasLatent) || name == io::kImage) return;
  const size_t width = manifest.latent_width;
  std::string_view value = name == io::kMu ? io::kMu : io::kLatent;
  for (const Node& node : lowering->graph.nodes()) {
    if (node.op == "ReparametrizedSample" && node.domain == "zoo" && node.inputs.front() == value) {
      lowering->take(node);
      value = node.outputs.front();
      // The runtime computes latents of the learned prior.
      if (!manifest.mixture.empty()) value = io::kDecoded;
      break;
    }
  }
  for (const Node* const node : lowering->graph.users(value)) {
    // [N, layers · width], reshaped to one style per layer.
    const Constant* const axes =
        node->op == "Reshape" ? lowering->graph.constant(node->inputs[1]) : nullptr;
    if (!axes || axes->integers.size() != 3) continue;
    lowering->styles = node->outputs.front();
    lowering->take(*node);
    return;
  }
  const Part part{Part::kNumbers, lowering->network.input(name), width, width};
  lowering->bind(value, add_read(lowering, {width, 1, 1}, {part},
                                 makes_styles(*lowering) ? Storage::kWide : Storage::kNarrow));
}

// Matches the conversion of uint8 [N, H, W, C] to float: Transpose and Cast in either order, then
// Div[, Mul, Sub].
bool match_input(Lowering& lowering, const Node& node) {
  const std::string_view name = node.inputs.empty() ? std::string_view() : node.inputs.front();
  if (name != io::kImage && name != io::kInput) return false;
  const ImageFormat& format =
      name == io::kInput ? lowering.manifest.input : lowering.manifest.image;
  const Shape shape{format.channels, format.height, format.width};
  const size_t tensor = lowering.network.input(std::string(name));
  if (format.type != ImageType::kUint8) {
    Lowering::refuse(node, "reads images whose type is not uint8");
  }
  bool turned = false, floats = false;
  std::string_view value = name;
  const Node* next = &node;
  for (; next; next = lowering.only_user(value)) {
    if (next->op == "Transpose" && next->integers("perm") == std::vector<int64_t>{0, 3, 1, 2}) {
      turned = true;
    } else if (next->op == "Cast" && next->integer("to", 0) == kFloatType) {
      floats = true;
    } else {
      break;
    }
    lowering.take(*next);
    value = next->outputs.front();
  }
  const Constant* const divisor = next && next->op == "Div" ? lowering.scalar(*next, 1) : nullptr;
  if (!turned || !floats || !divisor) Lowering::refuse(node, "reads images in an unknown way");
  lowering.take(*next);
  value = next->outputs.front();
  Part part{Part::kLevels, tensor, format.channels};
  part.scaling.divisor = divisor->floats[0];
  if (part.scaling.divisor == 255.0f) {
    lowering.originals.emplace(value, Original{Original::kAdded, tensor, format.channels});
  }
  lowering.bind(value, add_read(&lowering, shape, {part}, Storage::kNarrow));
  for (const Node* const scaled : lowering.graph.users(value)) {
    const Constant* const factor = scaled->op == "Mul" ? lowering.scalar(*scaled, 1) : nullptr;
    const Node* const moved = factor ? lowering.user(scaled->outputs.front(), "Sub") : nullptr;
    const Constant* const shift = moved ? lowering.scalar(*moved, 1) : nullptr;
    if (!shift) continue;
    part.scaling.factor = factor->floats[0];
    part.scaling.shift = -shift->floats[0];
    lowering.take(*scaled);
    lowering.take(*moved);
    lowering.bind(moved->outputs.front(), add_read(&lowering, shape, {part}, Storage::kNarrow));
  }
  return true;
}

// Matches a change of shape, or the concatenation of an input with a class or attributes. An input
// is read as a map of the new shape; a computed map that becomes a vector keeps its layout.
bool match_view(Lowering& lowering, const Node& node) {
  if (node.op == "Concat" && node.inputs.size() == 2 && lowering.find(node.inputs[0])) {
    const size_t value = *lowering.find(node.inputs[0]);
    const Read* const read = read_of(lowering, value);
    auto part = match_classes(&lowering, node.inputs[1]);
    if (!part) part = match_attributes(&lowering, node.inputs[1]);
    if (!read || !part || node.integer("axis", 0) != 1) return false;
    std::vector<Part> parts = read->parts;
    parts.push_back(*part);
    Shape shape = read->shape;
    shape.channels += part->channels;
    lowering.bind(node.outputs.front(), add_read(&lowering, shape, parts, lowering.storage(value)));
    return true;
  }
  if (node.op != "Reshape" && node.op != "Flatten" && node.op != "Unsqueeze") return false;
  const auto value = lowering.find(node.inputs.front());
  if (!value) return false;
  const Shape before = lowering.shape(*value);
  const auto shape = viewed(lowering, node, before);
  if (!shape) return false;
  const Read* const read = read_of(lowering, *value);
  size_t seen = *value;
  if (same(*shape, before)) {
    // The value itself serves as the result.
  } else if (read && read->parts.size() == 1 && read->parts.front().kind == Part::kNumbers) {
    Part part = read->parts.front();
    part.channels = shape->channels;
    seen = add_read(&lowering, *shape, {part}, lowering.storage(*value));
  } else if (shape->pixels() != 1) {
    return false;
  }
  lowering.bind(node.outputs.front(), seen);
  return true;
}

bool only_leaves(const Lowering& lowering, std::string_view value) {
  const auto users = lowering.graph.users(value);
  const auto ends = [&](const Node* node) {
    if (node->op == "Reshape") return only_leaves(lowering, node->outputs.front());
    return (node->op == "Sigmoid" || node->op == "Softmax" || node->op == "Split") &&
           std::all_of(node->outputs.begin(), node->outputs.end(),
                       [&](std::string_view output) { return lowering.graph.is_output(output); });
  };
  return (lowering.graph.is_output(value) || !users.empty()) &&
         std::all_of(users.begin(), users.end(), ends);
}

// Matches a Sigmoid, Softmax or Split of a vector that computes outputs.
bool match_output(Lowering& lowering, const Node& node) {
  const auto value = lowering.find(node.inputs.front());
  const bool leaves = std::all_of(node.outputs.begin(), node.outputs.end(),
                                  [&](auto output) { return lowering.graph.is_output(output); });
  if (!value || !leaves) return false;
  const Shape& shape = lowering.shape(*value);
  auto write = std::make_unique<Write>();
  const size_t size = shape.channels * shape.pixels();
  const auto axis = node.integer("axis", node.op == "Softmax" ? -1 : 0);
  if (node.op == "Sigmoid") {
    write->function = Write::kSigmoid;
  } else if (node.op == "Softmax" && (axis == -1 || axis == 1)) {
    write->function = Write::kSoftmax;
  } else if (node.op != "Split" || axis != 1) {
    return false;
  }
  const bool equal = node.inputs.size() < 2;
  const Constant* const parts = equal ? nullptr : lowering.graph.constant(node.inputs[1]);
  if (equal ? size % node.outputs.size() != 0
            : !parts || parts->integers.size() != node.outputs.size()) {
    return false;
  }
  size_t first = 0;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const std::string name(node.outputs[i]);
    const size_t count =
        parts ? static_cast<size_t>(parts->integers[i]) : size / node.outputs.size();
    if (count > size || first + count > size) return false;
    write->targets.push_back({lowering.network.output(name), first, count});
    first += count;
  }
  lowering.add_end(std::move(write), *value);
  return true;
}

void write_outputs(Lowering* lowering) {
  for (const std::string_view output : lowering->graph.outputs()) {
    if (lowering->is_written(output)) continue;
    const auto value = lowering->find(output);
    const Node* const node = lowering->graph.producer(output);
    // The output may also be an input of the graph, which no node computes.
    if (!value || !node) {
      throw BackendUnavailableError("backend native: its graph's output '" + std::string(output) +
                                    "' is not computed by operators that it knows: use "
                                    "backend='onnxruntime'");
    }
    if (has_trait(lowering->manifest, kDecodes) || output == io::kImage) {
      Lowering::refuse(*node, "is the last node but does not compute an image");
    }
    const Shape& shape = lowering->shape(*value);
    auto write = std::make_unique<Write>();
    write->targets.push_back(
        {lowering->network.output(std::string(output)), 0, shape.channels * shape.pixels()});
    lowering->add_end(std::move(write), *value);
  }
}

}  // namespace zoo::native
