#include "backends/native/lowering.h"

#include <algorithm>
#include <optional>

#include "backends/backend.h"
#include "format/tensors.h"
#include "zoo/errors.h"

namespace zoo::native {
namespace {

[[noreturn]] void refuse(const Node* node, const std::string& why) {
  std::string where = "its graph";
  if (node) {
    where = "its graph's node '" +
            std::string(node->outputs.empty() ? node->name : node->outputs.front()) + "' (" +
            std::string(node->op) + ")";
  }
  throw BackendUnavailableError("backend native: " + where + " " + why +
                                ": use backend='onnxruntime'");
}

class Lowering {
 public:
  Lowering(const Graph& graph, const Manifest& manifest) : graph_(graph), manifest_(manifest) {}

  Network run() {
    read_inputs();
    while (!done_) {
      if (match_vector_norm() || match_pixel_norm() || match_styles()) continue;
      const auto users = graph_.users(value_);
      const Node* const node = users.empty() ? nullptr : users.front();
      if (!node) refuse(graph_.producer(value_), "is the last, and makes no image");
      if (users.size() > 1) refuse(node, "shares its operand with another node");
      if (!(match_gemm(*node) || match_view(*node) || match_transposed(*node) ||
            match_style_layer(*node) || match_convolution(*node))) {
        refuse(node, "is no layer that it knows");
      }
    }
    return std::move(network_);
  }

 private:
  // The single node that takes a value, null where there are several, or it is an output too.
  const Node* only_user(std::string_view value) const {
    const auto users = graph_.users(value);
    return users.size() == 1 && !graph_.is_output(value) ? users.front() : nullptr;
  }

  // The node that takes a value, if it is the only one and of this operator.
  const Node* user(std::string_view value, std::string_view op) const {
    const Node* const node = only_user(value);
    return node && node->op == op && node->domain.empty() ? node : nullptr;
  }

  const Constant* scalar(const Node& node, size_t operand) const {
    if (operand >= node.inputs.size()) return nullptr;
    const Constant* const found = graph_.constant(node.inputs[operand]);
    return found && found->is_scalar() ? found : nullptr;
  }

  // The constant operand of a commutative operator whose other operand is `value`.
  const Constant* scalar_beside(const Node& node, std::string_view value) const {
    if (node.inputs.size() != 2) return nullptr;
    return scalar(node, node.inputs[0] == value ? 1 : 0);
  }

  void read_inputs() {
    if (role_of(manifest_).input != std::string_view(io::kMu)) {
      throw BackendUnavailableError(
          "backend native: it runs generators, and this file has the role '" + manifest_.role +
          "': use backend='onnxruntime'");
    }
    value_ = io::kMu;
    for (const Node& node : graph_.nodes()) {
      if (node.op == "ReparametrizedSample" && node.domain == "zoo" &&
          node.inputs.front() == io::kMu) {
        value_ = node.outputs.front();
      }
    }
    network_.sources.push_back({io::kMu, manifest_.latent_width});
    shape_ = {manifest_.latent_width, 1, 1};
    if (const Node* const joined = user(value_, "Concat")) read_classes(*joined);
    network_.shape = shape_;
  }

  // The latent beside the class as a vector of 0 and 1: Cast(Equal(Unsqueeze(label), [0, 1, …])).
  void read_classes(const Node& joined) {
    const Node* node = joined.inputs.size() == 2 && joined.inputs[0] == value_
                           ? graph_.producer(joined.inputs[1])
                           : nullptr;
    while (node && node->op == "Cast") node = graph_.producer(node->inputs.front());
    if (!node || node->op != "Equal") refuse(&joined, "does not join a latent and a class");
    const Constant* const numbers = graph_.constant(node->inputs[1]);
    const Node* const label = graph_.producer(node->inputs[0]);
    if (!numbers || numbers->integers.size() != manifest_.condition_classes || !label ||
        label->op != "Unsqueeze" || label->inputs.front() != io::kLabel) {
      refuse(node, "does not compare the class with all of them");
    }
    for (size_t i = 0; i < numbers->integers.size(); ++i) {
      if (numbers->integers[i] != static_cast<int64_t>(i)) refuse(node, "has classes out of order");
    }
    network_.sources.push_back({io::kLabel, numbers->integers.size(), true});
    shape_.channels += numbers->integers.size();
    value_ = joined.outputs.front();
  }

  const Constant& weights(const Node& node, size_t operand, size_t axes) const {
    const Constant* const found =
        operand < node.inputs.size() ? graph_.constant(node.inputs[operand]) : nullptr;
    if (!found || found->floats.empty() || found->shape.size() != axes) {
      refuse(&node, "has weights that are no constant");
    }
    return *found;
  }

  const float* bias(const Node& node, size_t outputs) const {
    if (node.inputs.size() < 3 || node.inputs[2].empty()) return nullptr;
    const Constant& found = weights(node, 2, 1);
    if (found.floats.size() != outputs) refuse(&node, "has a bias of another size");
    return found.floats.data();
  }

  // A rectifier after a value, if there is one.
  Activation activation(std::string_view* value) const {
    if (const Node* const node = user(*value, "Relu")) {
      *value = node->outputs.front();
      return {0.0f};
    }
    const Node* const node = user(*value, "LeakyRelu");
    if (!node) return {1.0f};
    const float slope = node->number("alpha", 0.01f);
    if (!(slope >= 0.0f && slope <= 1.0f)) refuse(node, "has a slope beyond 0 to 1");
    *value = node->outputs.front();
    return {slope};
  }

  // x / √(mean(x²) + ε) of a vector.
  bool match_vector_norm() {
    const auto users = graph_.users(value_);
    if (users.size() != 2) return false;
    const Node* const power = users[0]->op == "Pow" ? users[0] : users[1];
    const Node* const divide = users[0]->op == "Div" ? users[0] : users[1];
    if (power->op != "Pow" || divide->op != "Div" || divide->inputs[0] != value_) return false;
    const Constant* const exponent = scalar(*power, 1);
    const Node* const mean = user(power->outputs.front(), "ReduceMean");
    if (!exponent || exponent->floats[0] != 2.0f || !mean || shape_.pixels() != 1) return false;
    const Node* const sum = user(mean->outputs.front(), "Add");
    const Constant* const epsilon = sum ? scalar_beside(*sum, mean->outputs.front()) : nullptr;
    const Node* const root = sum ? user(sum->outputs.front(), "Sqrt") : nullptr;
    if (!epsilon || !root || divide->inputs[1] != root->outputs.front()) return false;
    add_norm(epsilon->floats[0], *divide);
    return true;
  }

  // The same at every pixel of a map, the mean as a 1×1 convolution with the bias ε.
  bool match_pixel_norm() {
    const auto users = graph_.users(value_);
    if (users.size() != 3) return false;
    const Node* square = nullptr;
    const Node* divide = nullptr;
    for (const Node* const node : users) (node->op == "Mul" ? square : divide) = node;
    if (!square || !divide || divide->op != "Div" || divide->inputs[0] != value_ ||
        square->inputs[0] != value_ || square->inputs[1] != value_) {
      return false;
    }
    const Node* const mean = user(square->outputs.front(), "Conv");
    const Constant* const share = mean ? graph_.constant(mean->inputs[1]) : nullptr;
    const Constant* const epsilon = mean ? scalar(*mean, 2) : nullptr;
    const Node* const root = mean ? user(mean->outputs.front(), "Sqrt") : nullptr;
    if (!share || !epsilon || !root || divide->inputs[1] != root->outputs.front()) return false;
    const auto one = 1.0f / static_cast<float>(shape_.channels);
    const bool even = share->floats.size() == shape_.channels &&
                      std::all_of(share->floats.begin(), share->floats.end(),
                                  [&](float weight) { return weight == one; });
    if (!even) return false;
    add_norm(epsilon->floats[0], *divide);
    return true;
  }

  void add_norm(float epsilon, const Node& last) {
    const float share = 1.0f / static_cast<float>(shape_.channels);
    network_.layers.emplace_back(PixelNorm{shape_, share, epsilon});
    value_ = last.outputs.front();
  }

  const Constant* floats(std::string_view value, size_t count) const {
    const Constant* const found = graph_.constant(value);
    return found && found->floats.size() == count ? found : nullptr;
  }

  // w̄ + ψ (w - w̄), repeated for every layer; what follows begins with a learned map.
  bool match_styles() {
    const Node* const subtract = user(value_, "Sub");
    if (!subtract || shape_.pixels() != 1) return false;
    const Constant* const mean = floats(subtract->inputs[1], shape_.channels);
    const Node* const scaled = user(subtract->outputs.front(), "Mul");
    const Node* const moved = scaled ? user(scaled->outputs.front(), "Add") : nullptr;
    if (!mean || !moved || scaled->inputs[0] != io::kTruncation ||
        floats(moved->inputs[0], shape_.channels) == nullptr) {
      return false;
    }
    const Node* const wide = user(moved->outputs.front(), "Unsqueeze");
    const Node* const repeated = wide ? user(wide->outputs.front(), "Expand") : nullptr;
    if (!repeated) refuse(moved, "is no style of every layer");
    network_.layers.emplace_back(Styles{io::kTruncation, mean->floats});
    if (scales_noise(manifest_)) network_.noise_scale = io::kNoise;
    styles_ = repeated->outputs.front();
    for (const Node& node : graph_.nodes()) {
      if (node.op != "Add" || !node.domain.empty()) continue;
      const Constant* const learned = graph_.constant(node.inputs[0]);
      if (!learned || learned->shape.size() != 4 || learned->shape[0] != 1) continue;
      const auto side = [&](size_t axis) { return static_cast<size_t>(learned->shape[axis]); };
      shape_ = {side(1), side(2), side(3)};
      network_.layers.emplace_back(LearnedMap{shape_, learned->floats});
      value_ = node.inputs[0];
      return true;
    }
    refuse(repeated, "has no learned map after it");
  }

  // The stream of a layer's noise: strength · view(noise · scale).
  std::string noise_of(const Node& product, Floats* strength) const {
    const Constant* const found = floats(product.inputs[1], shape_.channels);
    const Node* const view = graph_.producer(product.inputs[0]);
    const Node* drawn = view && view->op == "Reshape" ? graph_.producer(view->inputs[0]) : nullptr;
    if (drawn && drawn->op == "Mul" && drawn->inputs[1] == io::kNoise) {
      drawn = graph_.producer(drawn->inputs[0]);
    }
    if (!found || !drawn || drawn->op != "ReparametrizedSample") {
      refuse(&product, "is no noise of a layer");
    }
    strength->assign(found->floats.begin(), found->floats.end());
    strength->resize(shape_.blocks() * kBlock, 0.0f);
    return io::layer_noise(static_cast<uint32_t>(drawn->integer("stream", 0)));
  }

  // Deviations and means of the channels, from w.
  Products affine_of(const Node& split) const {
    const Node* const wide = graph_.producer(split.inputs.front());
    const Node* const dense =
        wide && wide->op == "Unsqueeze" ? graph_.producer(wide->inputs.front()) : nullptr;
    const Node* const chosen =
        dense && dense->op == "Gemm" ? graph_.producer(dense->inputs.front()) : nullptr;
    if (!chosen || chosen->op != "Gather" || chosen->inputs[0] != styles_ ||
        dense->integer("transB", 0) != 1) {
      refuse(&split, "is no style of a layer");
    }
    const Constant& w = weights(*dense, 1, 2);
    const size_t channels = shape_.channels, width = static_cast<size_t>(w.shape[1]);
    const float* const b = bias(*dense, 2 * channels);
    Products made;
    made.in = {width, 1, 1};
    made.out = {2 * shape_.blocks() * kBlock, 1, 1};
    made.phases.push_back({0, 0, {{0, 0, 0}}, 0});
    made.allocate(1, 1);
    for (size_t c = 0; c < 2 * channels; ++c) {
      const size_t to = c < channels ? c : c - channels + shape_.blocks() * kBlock;
      if (b) made.set_bias(0, to, b[c]);
      for (size_t k = 0; k < width; ++k) made.set_weight(0, k, to, w.floats[c * width + k]);
    }
    return made;
  }

  // [Blur,] noise, leaky ReLU, instance normalisation, style.
  bool match_style_layer(const Node& node) {
    if (styles_.empty() || !node.domain.empty()) return false;
    StyleLayer layer{shape_, {}, {}, {}, {}, {}, 1.0f, 0.0f};
    layer.bias.assign(shape_.blocks() * kBlock, 0.0f);
    const Node* sum = &node;
    if (node.op == "Conv" && node.integer("group", 1) != 1) {
      read_blur(node, &layer);
      sum = user(node.outputs.front(), "Add");
    }
    if (!sum || sum->op != "Add") return false;
    const Node* const product = graph_.producer(sum->inputs[1]);
    if (!product || product->op != "Mul") return false;
    layer.noise = noise_of(*product, &layer.strength);
    std::string_view value = sum->outputs.front();
    layer.slope = activation(&value).slope;
    const Node* const norm = user(value, "InstanceNormalization");
    const Node* const scaled = norm ? user(norm->outputs.front(), "Mul") : nullptr;
    const Node* const shifted = scaled ? user(scaled->outputs.front(), "Add") : nullptr;
    if (!shifted) refuse(sum, "is no layer with a style");
    const Node* const split = graph_.producer(scaled->inputs[1]);
    if (!split || split->op != "Split" || split->outputs.size() != 2 ||
        scaled->inputs[1] != split->outputs[0] || shifted->inputs[1] != split->outputs[1]) {
      refuse(scaled, "is no style");
    }
    for (size_t operand = 1; operand < 3; ++operand) {
      const Constant* const plain = floats(norm->inputs[operand], shape_.channels);
      const float wanted = operand == 1 ? 1.0f : 0.0f;
      const bool same = plain && std::all_of(plain->floats.begin(), plain->floats.end(),
                                             [&](float number) { return number == wanted; });
      if (!same) refuse(norm, "has a scale or a bias of its own");
    }
    layer.epsilon = norm->number("epsilon", 1e-5f);
    layer.affine = affine_of(*split);
    network_.layers.emplace_back(std::move(layer));
    value_ = shifted->outputs.front();
    return true;
  }

  // A 3×3 convolution of each channel apart.
  void read_blur(const Node& node, StyleLayer* layer) const {
    const Constant& w = weights(node, 1, 4);
    const auto ones = [](const std::vector<int64_t>& values) {
      return std::all_of(values.begin(), values.end(), [](int64_t value) { return value == 1; });
    };
    if (static_cast<size_t>(node.integer("group", 1)) != shape_.channels || w.shape[1] != 1 ||
        w.shape[2] != 3 || w.shape[3] != 3 || node.integers("pads").size() != 4 ||
        !ones(node.integers("pads")) || !ones(node.integers("strides")) ||
        !ones(node.integers("dilations"))) {
      refuse(&node, "is a convolution of a kind that it has not");
    }
    layer->blur.assign(9 * layer->bias.size(), 0.0f);
    const float* const b = bias(node, shape_.channels);
    for (size_t c = 0; c < shape_.channels; ++c) {
      if (b) layer->bias[c] = b[c];
      for (size_t place = 0; place < 9; ++place) {
        layer->blur[(c / kBlock * 9 + place) * kBlock + c % kBlock] = w.floats[c * 9 + place];
      }
    }
  }

  // The shape that a Reshape or Unsqueeze gives a vector [N, C·H·W].
  std::optional<Shape> viewed(const Node& node) const {
    const Constant* const axes = node.inputs.size() > 1 ? graph_.constant(node.inputs[1]) : nullptr;
    if (!axes) return std::nullopt;
    if (node.op == "Unsqueeze") return shape_;
    if (node.op != "Reshape" || axes->integers.size() != 4) return std::nullopt;
    const auto side = [&](size_t axis) { return static_cast<size_t>(axes->integers[axis]); };
    const Shape shape{side(1), side(2), side(3)};
    const bool whole = shape.channels * shape.pixels() == shape_.channels * shape_.pixels();
    return whole ? std::optional<Shape>(shape) : std::nullopt;
  }

  // The latent itself as a map.
  bool match_view(const Node& node) {
    const auto shape = viewed(node);
    if (!shape || !network_.layers.empty()) return false;
    network_.shape = shape_ = *shape;
    value_ = node.outputs.front();
    return true;
  }

  bool match_gemm(const Node& node) {
    if (node.op != "Gemm" || !node.domain.empty()) return false;
    const Constant& w = weights(node, 1, 2);
    if (node.integer("transA", 0) != 0 || node.integer("transB", 0) != 1 ||
        node.number("alpha", 1.0f) != 1.0f || node.number("beta", 1.0f) != 1.0f) {
      refuse(&node, "is no dense layer");
    }
    const auto outputs = static_cast<size_t>(w.shape[0]);
    if (static_cast<size_t>(w.shape[1]) != shape_.channels || shape_.pixels() != 1) {
      refuse(&node, "takes no vector of this width");
    }
    const float* const b = bias(node, outputs);
    std::string_view value = node.outputs.front();
    if (const auto end = finished(value)) {
      const Shape flat{outputs, 1, 1};
      network_.layers.emplace_back(make_dense(w.floats.data(), b, shape_.channels, flat, {}));
      network_.layers.emplace_back(DenseImage{image(), *end});
      done_ = true;
      return true;
    }
    Activation rectifier = activation(&value);
    Shape out{outputs, 1, 1};
    if (const Node* const view = only_user(value)) {
      const Shape before = shape_;
      shape_ = out;
      if (const auto shape = viewed(*view)) {
        out = *shape;
        value = view->outputs.front();
        if (rectifier.slope == 1.0f) rectifier = activation(&value);
      }
      shape_ = before;
    }
    network_.layers.emplace_back(make_dense(w.floats.data(), b, shape_.channels, out, rectifier));
    shape_ = out;
    value_ = value;
    return true;
  }

  // Of a convolution: a square window, the same on all sides.
  Window window(const Node& node, const Constant& w) const {
    const auto strides = node.integers("strides");
    const auto pads = node.integers("pads");
    const auto dilations = node.integers("dilations");
    const auto same = [](const std::vector<int64_t>& values) {
      return std::all_of(values.begin(), values.end(),
                         [&](int64_t value) { return value == values.front(); });
    };
    const auto first = [](const std::vector<int64_t>& values, int64_t otherwise) {
      return values.empty() ? otherwise : values.front();
    };
    const auto pad = node.attributes.find("auto_pad");
    const bool automatic =
        pad != node.attributes.end() && !pad->second.text.empty() && pad->second.text != "NOTSET";
    const auto extra = node.integers("output_padding");
    if (node.integer("group", 1) != 1 || first(dilations, 1) != 1 || !same(dilations) ||
        first(extra, 0) != 0 || !same(extra) || automatic || !same(strides) || !same(pads) ||
        w.shape[2] != w.shape[3] || !node.integers("output_shape").empty()) {
      refuse(&node, "is a convolution of a kind that it has not");
    }
    return {static_cast<size_t>(w.shape[2]), static_cast<size_t>(first(strides, 1)),
            static_cast<size_t>(first(pads, 0))};
  }

  bool match_convolution(const Node& node) {
    if (node.op != "Conv" || !node.domain.empty()) return false;
    return add_convolution(node, false);
  }

  bool match_transposed(const Node& node) {
    if (node.op != "ConvTranspose" || !node.domain.empty()) return false;
    return add_convolution(node, true);
  }

  bool add_convolution(const Node& node, bool transposed) {
    const Constant& w = weights(node, 1, 4);
    const Window win = window(node, w);
    const auto inputs = static_cast<size_t>(w.shape[transposed ? 0 : 1]);
    const auto outputs = static_cast<size_t>(w.shape[transposed ? 1 : 0]);
    if (inputs != shape_.channels) refuse(&node, "takes no map of so many channels");
    const float* const b = bias(node, outputs);
    std::string_view value = node.outputs.front();
    const bool splits =
        !transposed || win.size >= 2 * win.padding + win.stride || win.size % win.stride == 0;
    if (const auto end = splits ? finished(value) : std::nullopt) {
      if (!transposed && win.stride != 1) refuse(&node, "makes an image with a stride");
      network_.layers.emplace_back(
          make_last_layer(w.floats.data(), b, shape_, outputs, win, transposed, *end));
      check_image(node, std::get<LastLayer>(network_.layers.back()).out);
      done_ = true;
      return true;
    }
    const Activation rectifier = activation(&value);
    if (transposed && shape_.pixels() == 1 && win.padding == 0) {
      network_.layers.emplace_back(unfolded(w, b, inputs, outputs, win.size, rectifier));
    } else if (transposed) {
      if (win.size != 2 * win.padding + win.stride || win.size % win.stride != 0) {
        refuse(&node, "is a transposed convolution that does not multiply the sides");
      }
      network_.layers.emplace_back(
          make_transposed(w.floats.data(), b, shape_, outputs, win, rectifier));
    } else {
      if (win.stride > 2 || 2 * win.padding + 1 < win.size) {
        refuse(&node, "is a convolution of a kind that it has not");
      }
      network_.layers.emplace_back(
          make_convolution(w.floats.data(), b, shape_, outputs, win, rectifier));
    }
    shape_ = std::get<Products>(network_.layers.back()).out;
    value_ = value;
    return true;
  }

  // A transposed convolution of one pixel is a dense layer.
  Products unfolded(const Constant& w, const float* b, size_t inputs, size_t outputs, size_t size,
                    Activation rectifier) const {
    const size_t places = size * size;
    std::vector<float> turned(inputs * outputs * places);
    std::vector<float> biases(outputs * places, 0.0f);
    for (size_t output = 0; output < outputs * places; ++output) {
      if (b) biases[output] = b[output / places];
      for (size_t k = 0; k < inputs; ++k) {
        turned[output * inputs + k] = w.floats[k * outputs * places + output];
      }
    }
    return make_dense(turned.data(), biases.data(), inputs, {outputs, size, size}, rectifier);
  }

  Shape image() const {
    return {manifest_.image.channels, manifest_.image.height, manifest_.image.width};
  }

  void check_image(const Node& node, const Shape& made) const {
    const Shape wanted = image();
    if (made.channels == wanted.channels && made.height == wanted.height &&
        made.width == wanted.width) {
      return;
    }
    refuse(&node, "makes an image of another size");
  }

  // What follows the last layer, if it is nothing but what makes an image of its numbers.
  std::optional<Finish> finished(std::string_view value) const {
    Finish end;
    end.low = -3.4e38f;
    end.high = 3.4e38f;
    end.levels = false;
    bool squashed = false;
    while (!graph_.is_output(value)) {
      const Node* const node = only_user(value);
      if (!node || !node->domain.empty()) return std::nullopt;
      const std::string_view before = value;
      value = node->outputs.front();
      if (node->op == "Sigmoid" && !squashed) {
        end.squash = Squash::kSigmoid;
        squashed = true;
      } else if (node->op == "Clip") {
        const Constant* const low = scalar(*node, 1);
        const Constant* const high = scalar(*node, 2);
        if (!low || !high) return std::nullopt;
        end.low = low->floats[0];
        end.high = high->floats[0];
      } else if (node->op == "Mul") {
        const Constant* const factor = scalar_beside(*node, before);
        if (!factor) return std::nullopt;
        if (factor->floats[0] == 255.0f && !end.levels) {
          if (!rounds(&value)) return std::nullopt;
          end.levels = true;
        } else if (!squashed && user(value, "Sigmoid")) {
          end.scale = factor->floats[0];
        } else {
          return std::nullopt;
        }
      } else if (node->op == "Transpose") {
        if (node->integers("perm") != std::vector<int64_t>{0, 2, 3, 1}) return std::nullopt;
      } else if (node->op != "Reshape") {
        return std::nullopt;
      }
    }
    const bool bounded = end.squash != Squash::kNone || (end.low >= 0.0f && end.high <= 1.0f);
    if (end.levels != (manifest_.image.type == ImageType::kUint8) || (end.levels && !bounded)) {
      return std::nullopt;
    }
    return end;
  }

  // ⌊x + ½⌋ as bytes; moves to what it gives.
  bool rounds(std::string_view* value) const {
    const Node* const half = user(*value, "Add");
    const Constant* const added = half ? scalar_beside(*half, *value) : nullptr;
    const Node* const floor = added ? user(half->outputs.front(), "Floor") : nullptr;
    const Node* const cast = floor ? user(floor->outputs.front(), "Cast") : nullptr;
    constexpr int64_t kUint8 = 2;
    if (!cast || added->floats[0] != 0.5f || cast->integer("to", 0) != kUint8) return false;
    *value = cast->outputs.front();
    return true;
  }

  const Graph& graph_;
  const Manifest& manifest_;
  Network network_;
  std::string_view value_;   // that is computed so far
  std::string_view styles_;  // w for every layer, of a style-based network
  Shape shape_;              // of it
  bool done_ = false;
};

}  // namespace

Network lower(const Graph& graph, const Manifest& manifest) {
  return Lowering(graph, manifest).run();
}

}  // namespace zoo::native
