// Lowering of the nodes that convert the values of the last layer to an image.
#include <algorithm>

#include "backends/native/lowering/lowering.h"

namespace zoo::native {
namespace {

// Follows the nodes from a value to the image output; match() returns false at an unknown node.
class FinishMatcher {
 public:
  FinishMatcher(const Lowering& lowering, std::string_view value, Form form)
      : lowering_(lowering), value_(value), form_(form), vector_(form == Form::kVector) {}

  bool match() {
    while (!lowering_.graph.is_output(value_)) {
      const Node* const node = lowering_.only_user(value_);
      if (!node || !node->domain.empty() ||
          !(match_function(*node) || match_original(*node) || match_conversion(*node))) {
        return false;
      }
    }
    const bool levels = lowering_.manifest.image.type == ImageType::kUint8;
    const Form form = levels ? Form::kChannelsLast : Form::kChannelsFirst;
    return value_ == io::kImage && finish.levels == levels && form_ == form &&
           (!levels || bounded_ || (finish.original.empty() && is_unit()));
  }

  Finish finish{Squash::kNone, 1.0f, -kHuge, kHuge, /*levels=*/false};
  std::vector<const Node*> nodes;

 private:
  void step(const Node& node) {
    nodes.push_back(&node);
    value_ = node.outputs.front();
  }

  // Returns true if the range of the output function is [0, 1].
  bool is_unit() const {
    return finish.squash == Squash::kSigmoid || finish.squash == Squash::kTanhUnit;
  }

  // The supported order is: output function, combination with the original, clipping.
  bool match_function(const Node& node) {
    if (finish.levels || clipped_) return false;
    if (node.op == "Sigmoid" || node.op == "Tanh") {
      if (finish.squash != Squash::kNone || !finish.original.empty()) return false;
      finish.squash = node.op == "Sigmoid" ? Squash::kSigmoid : Squash::kTanh;
      step(node);
      return true;
    }
    if (finish.squash == Squash::kTanh && finish.original.empty() && match_unit(node)) return true;
    if (node.op == "Clip") {
      const Constant* const low = lowering_.scalar(node, 1);
      const Constant* const high = lowering_.scalar(node, 2);
      if (!low || !high) return false;
      finish.low = low->floats[0];
      finish.high = high->floats[0];
      clipped_ = true;
      bounded_ = finish.low >= 0.0f && finish.high <= 1.0f;
      step(node);
      return true;
    }
    const bool scales = node.op == "Mul" && finish.squash == Squash::kNone &&
                        finish.scale == 1.0f && finish.original.empty() &&
                        (lowering_.user(node.outputs.front(), "Sigmoid") ||
                         lowering_.user(node.outputs.front(), "Tanh"));
    const Constant* const factor = scales ? lowering_.scalar_beside(node, value_) : nullptr;
    if (!factor) return false;
    finish.scale = factor->floats[0];
    step(node);
    return true;
  }

  // Matches (y + 1) / 2 or y / 2 + ½, where y is a tanh.
  bool match_unit(const Node& node) {
    const Node* const next = lowering_.only_user(node.outputs.front());
    const auto is = [&](const Node& each, std::string_view value, const char* op, float number) {
      const bool divides = each.op == "Div" && each.inputs[0] == value;
      const Constant* const constant =
          divides ? lowering_.scalar(each, 1) : lowering_.scalar_beside(each, value);
      return each.op == op && each.domain.empty() && constant && constant->floats[0] == number;
    };
    const auto halves = [&](const Node& each, std::string_view value) {
      return is(each, value, "Mul", 0.5f) || is(each, value, "Div", 2.0f);
    };
    const std::string_view made = node.outputs.front();
    if (!next || !((is(node, value_, "Add", 1.0f) && halves(*next, made)) ||
                   (halves(node, value_) && is(*next, made, "Add", 0.5f)))) {
      return false;
    }
    finish.squash = Squash::kTanhUnit;
    nodes.push_back(&node);
    step(*next);
    return true;
  }

  // Matches original + x, or mask · original + (1 - mask) · x.
  bool match_original(const Node& node) {
    const ImageFormat& image = lowering_.manifest.image;
    const ImageFormat& input = lowering_.manifest.input;
    if (finish.levels || clipped_ || !finish.original.empty() || vector_ ||
        form_ != Form::kChannelsFirst || input.height != image.height ||
        input.width != image.width) {
      return false;
    }
    const std::string_view other = lowering_.operand_beside(node, value_);
    const auto at = lowering_.originals.find(other);
    if (node.op == "Add" && at != lowering_.originals.end()) {
      if (at->second.channels != image.channels) return false;
      finish.original = {at->second};
      step(node);
      return true;
    }
    return node.op == "Mul" && match_blend(node, other);
  }

  bool match_blend(const Node& product, std::string_view weight) {
    const Node* const rest = lowering_.producer(weight, "Sub");
    const Constant* const one = rest ? lowering_.scalar(*rest, 0) : nullptr;
    const Node* const sum = lowering_.user(product.outputs.front(), "Add");
    if (!one || one->floats[0] != 1.0f || !sum) return false;
    const Node* const kept =
        lowering_.producer(lowering_.operand_beside(*sum, product.outputs.front()), "Mul");
    const Node* const mask = lowering_.producer(rest->inputs[1], "Slice");
    if (!kept || !mask || kept->inputs.size() != 2) return false;
    const Node* const known =
        lowering_.producer(lowering_.operand_beside(*kept, rest->inputs[1]), "Slice");
    const size_t channels = lowering_.manifest.image.channels;
    const auto at = lowering_.originals.find(mask->inputs.front());
    if (!known || at == lowering_.originals.end() || at->second.channels != channels + 1 ||
        known->inputs.front() != mask->inputs.front() || !is_slice(*known, 0, channels) ||
        !is_slice(*mask, channels, channels + 1)) {
      return false;
    }
    finish.original = {{Original::kBlended, at->second.input, at->second.channels}};
    for (const Node* const node : {known, mask, rest, kept, &product}) nodes.push_back(node);
    bounded_ = is_unit();
    step(*sum);
    return true;
  }

  // Returns true if a node slices the channels begin … end - 1.
  bool is_slice(const Node& node, size_t begin, size_t end) const {
    const auto number = [&](size_t operand) -> std::optional<int64_t> {
      const Constant* const constant =
          operand < node.inputs.size() ? lowering_.graph.constant(node.inputs[operand]) : nullptr;
      if (!constant || constant->integers.size() != 1) return std::nullopt;
      return constant->integers.front();
    };
    const auto total = static_cast<int64_t>(lowering_.manifest.image.channels) + 1;
    // Negative indices count from the end; indices past the end mean the end.
    const auto channel = [&](std::optional<int64_t> at) {
      return at ? std::min(*at < 0 ? *at + total : *at, total) : int64_t{-1};
    };
    const auto step_size = node.inputs.size() > 4 ? number(4) : std::optional<int64_t>(1);
    return channel(number(1)) == static_cast<int64_t>(begin) &&
           channel(number(2)) == static_cast<int64_t>(end) && number(3) == int64_t{1} &&
           step_size == int64_t{1};
  }

  // Matches the conversion to the image's type: ⌊255 x + ½⌋ as bytes, channels last.
  bool match_conversion(const Node& node) {
    if (node.op == "Transpose") {
      const std::vector<int64_t> last{0, 2, 3, 1};
      if (node.integers("perm") != last || form_ != Form::kChannelsFirst) return false;
      form_ = Form::kChannelsLast;
      step(node);
      return true;
    }
    if (node.op == "Reshape") {
      const auto form = viewed(node);
      if (!form) return false;
      form_ = *form;
      step(node);
      return true;
    }
    constexpr int64_t kUint8 = 2;
    const Constant* const factor =
        node.op == "Mul" ? lowering_.scalar_beside(node, value_) : nullptr;
    const std::string_view scaled = node.outputs.front();
    const Node* const half = factor ? lowering_.user(scaled, "Add") : nullptr;
    const Constant* const added = half ? lowering_.scalar_beside(*half, scaled) : nullptr;
    const Node* const floor = added ? lowering_.user(half->outputs.front(), "Floor") : nullptr;
    const Node* const cast = floor ? lowering_.user(floor->outputs.front(), "Cast") : nullptr;
    if (!cast || finish.levels || factor->floats[0] != 255.0f || added->floats[0] != 0.5f ||
        cast->integer("to", 0) != kUint8) {
      return false;
    }
    for (const Node* const each : {&node, half, floor}) nodes.push_back(each);
    finish.levels = true;
    step(*cast);
    return true;
  }

  // Returns the layout of the image after a Reshape; nullopt if its values would be reordered.
  std::optional<Form> viewed(const Node& node) const {
    const Constant* const axes = lowering_.graph.constant(node.inputs[1]);
    if (!axes || axes->integers.size() != 4) return std::nullopt;
    const ImageFormat& image = lowering_.manifest.image;
    const auto c = static_cast<int64_t>(image.channels), h = static_cast<int64_t>(image.height),
               w = static_cast<int64_t>(image.width);
    const std::vector<int64_t> sides(axes->integers.begin() + 1, axes->integers.end());
    const bool last = form_ == Form::kChannelsLast;
    if (!last && sides == std::vector<int64_t>{c, h, w}) return Form::kChannelsFirst;
    if ((last || c == 1) && sides == std::vector<int64_t>{h, w, c}) return Form::kChannelsLast;
    return std::nullopt;
  }

  const Lowering& lowering_;
  std::string_view value_;
  Form form_;
  const bool vector_;
  bool clipped_ = false;
  bool bounded_ = false;  // to [0, 1], by a Clip or by blending
};

}  // namespace

std::optional<Finish> match_finish(Lowering* lowering, std::string_view value, Form form) {
  FinishMatcher matcher(*lowering, value, form);
  if (!matcher.match()) return std::nullopt;
  for (const Node* const node : matcher.nodes) lowering->take(*node);
  lowering->network.output(io::kImage);
  return matcher.finish;
}

void check_image(const Lowering& lowering, const Node& node, const Shape& shape) {
  const ImageFormat& image = lowering.manifest.image;
  if (shape.channels == image.channels && shape.height == image.height &&
      shape.width == image.width) {
    return;
  }
  Lowering::refuse(node, "computes an image of a size other than the manifest's");
}

}  // namespace zoo::native
