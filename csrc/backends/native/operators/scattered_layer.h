// The last layer of a network that makes few products of many channels.
#pragma once

#include <memory>
#include <vector>

#include "backends/native/network.h"
#include "backends/native/operators/finish.h"
#include "backends/native/operators/products.h"

namespace zoo::native {

// A convolution, or a transposed one, to so few channels that all places of its kernel are fewer
// than the channels that go in (last_layer.h has the others). Each input pixel is multiplied with
// the weights of all places at once, and the products are added up where they belong. Writes its
// network's first output.
struct ScatteredLayer : Operator {
  Shape in;
  Shape out;
  Window window;
  bool transposed = false;
  Products products;  // 1×1, to the channel (c · size + row) · size + column
  std::vector<float> bias;
  Finish finish;

  const char* kind() const override { return "last layer"; }
  double operations() const override {
    return 2.0 * static_cast<double>(in.pixels() * in.channels * products.out.channels);
  }
  size_t scratch(const Places& places) const override;
  void pack(const Kernels& kernels, const Kernels& floats) override {
    products.pack(kernels, floats);
  }
  std::unique_ptr<Step> place(const Places& places) const override;
};

std::unique_ptr<ScatteredLayer> make_scattered_layer(const float* weights, const float* bias,
                                                     const Shape& in, size_t channels,
                                                     const Window& window, bool transposed,
                                                     const Finish& finish);

}  // namespace zoo::native
