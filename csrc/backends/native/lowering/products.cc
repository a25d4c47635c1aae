// Lowering of dense layers, convolutions and transposed convolutions, including the last layer of
// an image network.
#include "backends/native/operators/products.h"

#include <algorithm>

#include "backends/native/lowering/lowering.h"
#include "backends/native/operators/dense_image.h"
#include "backends/native/operators/first_layer.h"
#include "backends/native/operators/last_layer.h"
#include "backends/native/operators/scattered_layer.h"
#include "backends/native/operators/winograd.h"

namespace zoo::native {
namespace {

bool is_whole(const std::vector<int64_t>& values) {
  return std::all_of(values.begin(), values.end(),
                     [&](int64_t value) { return value == values.front(); });
}

// Returns the window of a convolution. Refuses a node unless its window is square, with the same
// stride and padding on all sides, and without groups, dilation or output padding.
Window window_of(const Node& node, const Constant& w) {
  const auto strides = node.integers("strides");
  const auto pads = node.integers("pads");
  const auto dilations = node.integers("dilations");
  const auto first = [](const std::vector<int64_t>& values, int64_t otherwise) {
    return values.empty() ? otherwise : values.front();
  };
  const auto pad = node.attributes.find("auto_pad");
  const bool automatic =
      pad != node.attributes.end() && !pad->second.text.empty() && pad->second.text != "NOTSET";
  const auto extra = node.integers("output_padding");
  if (node.integer("group", 1) != 1 || first(dilations, 1) != 1 || !is_whole(dilations) ||
      first(extra, 0) != 0 || !is_whole(extra) || automatic || !is_whole(strides) ||
      !is_whole(pads) || w.shape[2] != w.shape[3] || !node.integers("output_shape").empty() ||
      first(strides, 1) < 1 || first(pads, 0) < 0) {
    Lowering::refuse(node, "is a convolution of an unknown kind");
  }
  return {static_cast<size_t>(w.shape[2]), static_cast<size_t>(first(strides, 1)),
          static_cast<size_t>(first(pads, 0))};
}

// Converts a transposed convolution of a single pixel to a dense layer.
std::unique_ptr<Products> unfold(const float* w, const float* b, const Shape& in, size_t outputs,
                                 size_t size, Activation rectifier) {
  const size_t places = size * size;
  const size_t inputs = in.channels;
  std::vector<float> turned(inputs * outputs * places);
  std::vector<float> biases(outputs * places, 0.0f);
  for (size_t output = 0; output < outputs * places; ++output) {
    if (b) biases[output] = b[output / places];
    for (size_t k = 0; k < inputs; ++k) {
      turned[output * inputs + k] = w[k * outputs * places + output];
    }
  }
  return make_dense(turned.data(), biases.data(), in, {outputs, size, size}, rectifier);
}

// Returns the operand of a layer that computes `node`, encoded as bytes if that is faster.
size_t operand_of(Lowering* lowering, const Node& node, size_t value, Products* products) {
  return products->gains_from_bytes() ? lowering->encode(node, value, products) : value;
}

void add_products(Lowering* lowering, std::unique_ptr<Operator> products, const Shape& out,
                  Activation rectifier, size_t input, std::string_view value) {
  const bool positive = rectifier.slope == 0.0f;
  const bool wide = lowering->is_wide(input) || only_leaves(*lowering, value);
  const size_t made =
      lowering->add(std::move(products), {input}, out, wide ? Storage::kWide : Storage::kNarrow);
  if (positive) lowering->rectified.insert(made);
  lowering->bind(value, made);
}

// Operands of a convolution: the map, and weights that match its channels.
struct Operands {
  size_t value;
  const float* weights;
  std::vector<float> spread;  // storage of weights that spread_weights returned
};

// Expands weights [in, …] or [out, in, …] for a joined map: channels that belong to none of its
// parts get zeros.
std::vector<float> spread_weights(const Constant& w, const Gapped& joined, size_t channels,
                                  bool transposed) {
  const auto inputs = static_cast<size_t>(w.shape[transposed ? 0 : 1]);
  const size_t outer = transposed ? 1 : static_cast<size_t>(w.shape[0]);
  const size_t inner = w.floats.size() / inputs / outer;
  std::vector<float> spread(outer * channels * inner, 0.0f);
  for (size_t o = 0; o < outer; ++o) {
    size_t from = 0, to = 0;
    for (const size_t part : joined.parts) {
      std::copy_n(w.floats.begin() + static_cast<ptrdiff_t>((o * inputs + from) * inner),
                  part * inner,
                  spread.begin() + static_cast<ptrdiff_t>((o * channels + to) * inner));
      from += part;
      to += (part + kBlock - 1) / kBlock * kBlock;
    }
  }
  return spread;
}

std::optional<Operands> operands(const Lowering& lowering, const Node& node, bool transposed) {
  const std::string_view name = node.inputs.front();
  const auto value = lowering.find(name);
  const auto joined = lowering.gapped.find(name);
  if (!value && joined == lowering.gapped.end()) return std::nullopt;
  const Constant& w = lowering.weights(node, 1, 4);
  const size_t wanted = value ? lowering.shape(*value).channels : joined->second.channels();
  if (static_cast<size_t>(w.shape[transposed ? 0 : 1]) != wanted) {
    Lowering::refuse(node, "takes no map of so many channels");
  }
  if (value) return Operands{*value, w.floats.data(), {}};
  Operands read{joined->second.value, nullptr, {}};
  read.spread = spread_weights(w, joined->second, lowering.shape(read.value).channels, transposed);
  read.weights = read.spread.data();
  return read;
}

// Returns true if the window fits into the padded map, and always covers at least one pixel of it.
bool covers(const Window& window, const Shape& in) {
  return std::min(in.height, in.width) + 2 * window.padding >= window.size &&
         window.padding < window.size;
}

bool splits(const Window& window) {
  return window.padding < window.size &&
         (window.size >= 2 * window.padding + window.stride || window.size % window.stride == 0);
}

// Adds a node as the last layer; returns false if it is not followed by an image output.
bool add_last_layer(Lowering* lowering, const Node& node, const Operands& read,
                    const Window& window, bool transposed) {
  const Constant& w = lowering->weights(node, 1, 4);
  const auto outputs = static_cast<size_t>(w.shape[transposed ? 1 : 0]);
  const Shape& in = lowering->shape(read.value);
  const bool fits = transposed ? splits(window) : window.stride == 1 && covers(window, in);
  const bool can = fits && window.size * window.size <= kMostTaps;
  const auto end =
      can ? match_finish(lowering, node.outputs.front(), Form::kChannelsFirst) : std::nullopt;
  if (!end) return false;
  const float* const b = lowering->bias(node, outputs);
  if (window.size > 1 && outputs * window.size * window.size <= in.channels) {
    auto layer = make_scattered_layer(read.weights, b, in, outputs, window, transposed, *end);
    check_image(*lowering, node, layer->out);
    lowering->add_end(std::move(layer), read.value);
  } else {
    auto layer = make_last_layer(read.weights, b, in, outputs, window, transposed, *end);
    check_image(*lowering, node, layer->out);
    const size_t operand = lowering->encode(node, read.value, layer->direct.get());
    lowering->add_end(std::move(layer), operand);
  }
  return true;
}

}  // namespace

bool match_dense(Lowering& lowering, const Node& node) {
  if (node.op != "Gemm" || !node.domain.empty()) return false;
  const auto input = lowering.find(node.inputs.front());
  if (!input) return false;
  const Shape in = lowering.shape(*input);
  const Constant& w = lowering.weights(node, 1, 2);
  if (node.integer("transA", 0) != 0 || node.integer("transB", 0) != 1 ||
      node.number("alpha", 1.0f) != 1.0f || node.number("beta", 1.0f) != 1.0f) {
    Lowering::refuse(node, "is no dense layer");
  }
  const auto outputs = static_cast<size_t>(w.shape[0]);
  if (static_cast<size_t>(w.shape[1]) != in.channels * in.pixels()) {
    Lowering::refuse(node, "has weights for a vector of a different width");
  }
  const float* const b = lowering.bias(node, outputs);
  const Shape flat{outputs, 1, 1};
  std::string_view value = node.outputs.front();
  if (const auto end = match_finish(&lowering, value, Form::kVector)) {
    const ImageFormat& image = lowering.manifest.image;
    check_image(lowering, node, {image.channels, image.height, image.width});
    if (outputs != image.values()) {
      Lowering::refuse(node, "computes an image of a size other than the manifest's");
    }
    auto dense = make_dense(w.floats.data(), b, in, flat, {});
    const size_t operand = operand_of(&lowering, node, *input, dense.get());
    const size_t made = lowering.add(std::move(dense), {operand}, flat, Storage::kWide);
    lowering.add_end(
        std::make_unique<DenseImage>(Shape{image.channels, image.height, image.width}, *end), made);
    return true;
  }
  Activation rectifier = lowering.activation(&value);
  Shape out = flat;
  const Node* const view = lowering.user(value, "Reshape");
  const Constant* const axes = view ? lowering.graph.constant(view->inputs[1]) : nullptr;
  if (axes && axes->integers.size() == 4) {
    for (size_t axis = 1; axis < 4; ++axis) {
      const int64_t side = axes->integers[axis];
      if (side < 1 || static_cast<size_t>(side) > outputs) {
        Lowering::refuse(*view, "does not reshape the result to a map");
      }
    }
    const auto side = [&](size_t axis) { return static_cast<size_t>(axes->integers[axis]); };
    const Shape shape{side(1), side(2), side(3)};
    if (shape.channels * shape.pixels() != outputs) {
      Lowering::refuse(*view, "does not reshape the result to a map");
    }
    out = shape;
    lowering.take(*view);
    value = view->outputs.front();
    if (rectifier.slope == 1.0f) rectifier = lowering.activation(&value);
  }
  auto dense = make_dense(w.floats.data(), b, in, out, rectifier);
  const size_t operand = operand_of(&lowering, node, *input, dense.get());
  add_products(&lowering, std::move(dense), out, rectifier, operand, value);
  return true;
}

bool match_convolution(Lowering& lowering, const Node& node) {
  const bool transposed = node.op == "ConvTranspose";
  if ((node.op != "Conv" && !transposed) || !node.domain.empty()) return false;
  const auto read = operands(lowering, node, transposed);
  if (!read) return false;
  const Shape in = lowering.shape(read->value);
  const Constant& w = lowering.weights(node, 1, 4);
  const Window window = window_of(node, w);
  const auto outputs = static_cast<size_t>(w.shape[transposed ? 1 : 0]);
  if (add_last_layer(&lowering, node, *read, window, transposed)) return true;
  const float* const b = lowering.bias(node, outputs);
  std::string_view value = node.outputs.front();
  const Activation rectifier = lowering.activation(&value);
  std::unique_ptr<Products> products;
  if (transposed && in.pixels() == 1 && window.padding == 0) {
    products = unfold(read->weights, b, in, outputs, window.size, rectifier);
  } else if (transposed) {
    if (window.size != 2 * window.padding + window.stride || window.size % window.stride != 0) {
      Lowering::refuse(
          node,
          "is a transposed convolution whose kernel size does not match its stride and padding");
    }
    products = make_transposed(read->weights, b, in, outputs, window, rectifier);
  } else {
    if (window.stride > 2 || !covers(window, in)) {
      Lowering::refuse(node, "is a convolution of an unknown kind");
    }
    const auto* const image = dynamic_cast<const Read*>(&lowering.maker(read->value));
    if (image && suits_first_layer(*image, window) && !lowering.is_wide(read->value)) {
      auto first = make_first_layer(read->weights, b, *image, outputs, window, rectifier);
      const Shape out = first->products.out;
      lowering.bind(value, lowering.add(std::move(first), {}, out, Storage::kNarrow));
      return true;
    }
    products = make_convolution(read->weights, b, in, outputs, window, rectifier);
  }
  const Shape out = products->out;
  const size_t operand = operand_of(&lowering, node, read->value, products.get());
  std::unique_ptr<Operator> layer;
  if (products->code) {
    layer = std::move(products);
  } else if (auto filtered = std::make_unique<Winograd>(std::move(products)); filtered->pays()) {
    layer = std::move(filtered);
  } else {
    layer = std::move(filtered->direct);
  }
  add_products(&lowering, std::move(layer), out, rectifier, operand, value);
  return true;
}

}  // namespace zoo::native
