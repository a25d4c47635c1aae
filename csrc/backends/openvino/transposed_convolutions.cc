#include "backends/openvino/transposed_convolutions.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <openvino/core/type.hpp>
#include <openvino/op/add.hpp>
#include <openvino/op/concat.hpp>
#include <openvino/op/constant.hpp>
#include <openvino/op/convolution.hpp>
#include <openvino/op/depth_to_space.hpp>
#include <openvino/op/group_conv.hpp>
#include <openvino/op/matmul.hpp>
#include <openvino/op/pad.hpp>
#include <openvino/op/reshape.hpp>
#include <openvino/op/slice.hpp>
#include <openvino/op/transpose.hpp>
#include <openvino/pass/constant_folding.hpp>
#include <openvino/pass/manager.hpp>
#include <string>
#include <unordered_set>
#include <vector>

namespace zoo {
namespace {

using ov::op::v0::Constant;
using Transposed = ov::op::v1::ConvolutionBackpropData;

// Number of channels that the plugin's convolutions compute at a time.
constexpr int64_t kLeastChannels = 16;

// Outputs of one phase along one axis, s·i + a for all i, as a convolution: weights `last`,
// `last` - s, … are those of inputs i + `first`, i + `first` + 1, …, i + `end`.
struct Phase {
  int64_t last;
  int64_t first;
  int64_t end;
};

struct Window {
  int64_t first;
  int64_t end;
};

std::shared_ptr<ov::Node> integers(const std::vector<int64_t>& values) {
  return Constant::create(ov::element::i64, ov::Shape{values.size()}, values);
}

// Returns the transposed convolutions from which an output is reached without another convolution
// or matrix product, first to last.
std::vector<std::shared_ptr<Transposed>> find_trailing(const ov::Model& model) {
  std::unordered_set<const ov::Node*> seen;
  std::vector<ov::Node*> open;
  for (const auto& result : model.get_results()) open.push_back(result.get());
  while (!open.empty()) {
    const ov::Node* const node = open.back();
    open.pop_back();
    if (ov::is_type<ov::op::v1::Convolution>(node) || ov::is_type<ov::op::v0::MatMul>(node) ||
        ov::is_type<ov::op::v1::GroupConvolution>(node) || !seen.insert(node).second) {
      continue;
    }
    for (const auto& input : node->input_values()) open.push_back(input.get_node());
  }
  std::vector<std::shared_ptr<Transposed>> found;
  for (const auto& node : model.get_ordered_ops()) {
    const auto transposed = ov::as_type_ptr<Transposed>(node);
    if (transposed && seen.count(node.get()) != 0) found.push_back(transposed);
  }
  return found;
}

bool is_planar(const Transposed& node) {
  const auto& dilations = node.get_dilations();
  return node.get_input_size() == 2 && node.get_auto_pad() == ov::op::PadType::EXPLICIT &&
         node.get_strides().size() == 2 &&
         std::all_of(dilations.begin(), dilations.end(), [](size_t step) { return step == 1; }) &&
         node.get_input_partial_shape(1).is_static();
}

// Returns the phases along an axis, or none unless the output is `stride` times as long as the
// input and every phase has a weight for the input at its own place.
std::vector<Phase> find_phases(const Transposed& node, size_t axis) {
  const auto kernel = static_cast<int64_t>(node.get_input_shape(1)[2 + axis]);
  const auto stride = static_cast<int64_t>(node.get_strides()[axis]);
  const int64_t before = node.get_pads_begin()[axis], after = node.get_pads_end()[axis];
  const int64_t more = node.get_output_padding()[axis];
  if (before < 0 || after < 0 || kernel < stride || kernel - before - after + more != stride) {
    return {};
  }
  std::vector<Phase> phases;
  for (int64_t a = 0; a < stride; ++a) {
    // Output s·i + a adds weight k · input j for s·j + k - before = s·i + a.
    const int64_t least = (a + before) % stride;
    const int64_t last = least + stride * ((kernel - 1 - least) / stride);
    if (last < a + before) return {};
    phases.push_back({last, (a + before - last) / stride, (a + before - least) / stride});
  }
  return phases;
}

Window unite(const std::vector<Phase>& phases) {
  Window window{0, 0};
  for (const Phase& phase : phases) {
    window = {std::min(window.first, phase.first), std::max(window.end, phase.end)};
  }
  return window;
}

// Returns the weights [outputs, inputs, height, width] of a phase, with zeros around them that fill
// the window.
ov::Output<ov::Node> phase_kernel(const ov::Output<ov::Node>& weights, int64_t stride,
                                  const Phase& y, const Phase& x, const Window& rows,
                                  const Window& columns) {
  const int64_t beginning = std::numeric_limits<int64_t>::min();
  const auto taps = std::make_shared<ov::op::v8::Slice>(
      weights, integers({y.last, x.last}), integers({beginning, beginning}),
      integers({-stride, -stride}), integers({2, 3}));
  const auto kernel = std::make_shared<ov::op::v1::Transpose>(taps, integers({1, 0, 2, 3}));
  return std::make_shared<ov::op::v1::Pad>(
      kernel, integers({0, 0, y.first - rows.first, x.first - columns.first}),
      integers({0, 0, rows.end - y.end, columns.end - x.end}), ov::op::PadMode::CONSTANT);
}

// Returns the sum with a bias [1, channels, 1, 1] if that is all the output is used for, else null.
std::shared_ptr<ov::Node> find_bias_sum(const Transposed& node) {
  const auto users = node.get_output_target_inputs(0);
  if (users.size() != 1) return nullptr;
  const auto sum = ov::as_type_ptr<ov::op::v1::Add>(users.begin()->get_node()->shared_from_this());
  if (!sum) return nullptr;
  const auto other = sum->get_input_partial_shape(1 - users.begin()->get_index());
  const ov::PartialShape wanted{1, static_cast<int64_t>(node.get_input_shape(1)[1]), 1, 1};
  return other.is_static() && other == wanted ? sum : nullptr;
}

ov::Output<ov::Node> copy(const ov::Output<ov::Node>& value) {
  const ov::Node* const node = value.get_node();
  return node->clone_with_new_inputs(node->input_values())->output(value.get_index());
}

bool replace_by_phases(const std::shared_ptr<Transposed>& node) {
  const auto& strides = node->get_strides();
  const std::vector<Phase> ys = find_phases(*node, 0), xs = find_phases(*node, 1);
  if (strides[0] != strides[1] || ys.empty() || xs.empty()) return false;
  const auto stride = static_cast<int64_t>(strides[0]);
  const auto channels = static_cast<int64_t>(node->get_input_shape(1)[1]);
  const bool together = channels * stride * stride <= kLeastChannels;
  const auto sum = find_bias_sum(*node);
  ov::Output<ov::Node> bias;
  if (sum) bias = sum->input_value(sum->input_value(0).get_node() == node.get() ? 1 : 0);

  struct Part {
    ov::OutputVector kernels;  // along the output channels
    ov::OutputVector biases;
    Window rows;
    Window columns;
  };
  std::vector<Part> parts;
  for (const Phase& y : ys) {
    for (const Phase& x : xs) {
      if (!together || parts.empty()) {
        parts.emplace_back();
        parts.back().rows = together ? unite(ys) : Window{y.first, y.end};
        parts.back().columns = together ? unite(xs) : Window{x.first, x.end};
      }
      Part& part = parts.back();
      part.kernels.push_back(
          phase_kernel(node->input_value(1), stride, y, x, part.rows, part.columns));
      // The plugin adds a bias in the convolution only if nothing else reads it.
      if (sum) part.biases.push_back(copy(bias));
    }
  }

  const auto join = [](const ov::OutputVector& values, int64_t axis) -> ov::Output<ov::Node> {
    if (values.size() == 1) return values.front();
    return std::make_shared<ov::op::v0::Concat>(values, axis);
  };
  const auto& name = node->get_friendly_name();
  ov::OutputVector phases;
  for (const Part& part : parts) {
    std::shared_ptr<ov::Node> phase = std::make_shared<ov::op::v1::Convolution>(
        node->input_value(0), join(part.kernels, 0), ov::Strides{1, 1},
        ov::CoordinateDiff{-part.rows.first, -part.columns.first},
        ov::CoordinateDiff{part.rows.end, part.columns.end}, ov::Strides{1, 1});
    phase->set_friendly_name(name +
                             (together ? "/phases" : "/phase " + std::to_string(phases.size())));
    if (sum) phase = std::make_shared<ov::op::v1::Add>(phase, join(part.biases, 1));
    phases.push_back(phase);
  }
  const auto shuffled = std::make_shared<ov::op::v0::DepthToSpace>(
      join(phases, 1), ov::op::v0::DepthToSpace::DepthToSpaceMode::BLOCKS_FIRST, stride);
  shuffled->set_friendly_name(name + "/shuffle");
  (sum ? sum->output(0) : node->output(0)).replace(shuffled);
  return true;
}

bool replace_by_product(const std::shared_ptr<Transposed>& node) {
  const auto& input = node->get_input_partial_shape(0);
  const auto none = [](std::ptrdiff_t pad) { return pad == 0; };
  const auto all_none = [&](const ov::CoordinateDiff& pads) {
    return std::all_of(pads.begin(), pads.end(), none);
  };
  if (input[2] != 1 || input[3] != 1 || !all_none(node->get_pads_begin()) ||
      !all_none(node->get_pads_end()) || !all_none(node->get_output_padding())) {
    return false;
  }
  const ov::Shape& weights = node->get_input_shape(1);
  const auto side = [&](size_t axis) { return static_cast<int64_t>(weights[axis]); };
  const auto reshape = [](const ov::Output<ov::Node>& value, const std::vector<int64_t>& shape) {
    return std::make_shared<ov::op::v1::Reshape>(value, integers(shape), /*special_zero=*/true);
  };
  const auto product = std::make_shared<ov::op::v0::MatMul>(
      reshape(node->input_value(0), {0, side(0)}), reshape(node->input_value(1), {side(0), -1}));
  product->set_friendly_name(node->get_friendly_name() + "/product");
  node->output(0).replace(reshape(product, {0, side(1), side(2), side(3)}));
  return true;
}

}  // namespace

size_t rewrite_transposed_convolutions(const std::shared_ptr<ov::Model>& model) {
  size_t count = 0;
  for (const auto& node : find_trailing(*model)) {
    if (is_planar(*node) && (replace_by_product(node) || replace_by_phases(node))) ++count;
  }
  if (count == 0) return 0;
  // Folds the kernels once, rather than in the compilation for each batch size.
  ov::pass::Manager manager;
  manager.register_pass<ov::pass::ConstantFolding>();
  manager.run_passes(model);
  return count;
}

}  // namespace zoo
