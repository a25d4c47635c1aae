// Last layer of an image network, for kernels with few taps and many input channels.
#pragma once

#include <memory>
#include <vector>

#include "backends/native/network.h"
#include "backends/native/operators/finish.h"
#include "backends/native/operators/products.h"

namespace zoo::native {

// Convolution or transposed convolution whose kernel has fewer taps, over all output channels, than
// there are input channels; other last layers are in last_layer.h. Each input pixel is multiplied
// by the weights of all taps at once, and the products are scattered: each is added to the output
// pixel that it belongs to. Writes the first output of the network.
struct ScatteredLayer : Operator {
  Shape in;
  Shape out;
  Window window;
  bool transposed = false;
  Products products;  // 1×1; its output channels are (c · size + row) · size + column
  std::vector<float> bias;
  Finish finish;

  const char* kind() const override { return "last layer"; }
  double operations() const override {
    return 2.0 * static_cast<double>(in.pixels() * in.channels * products.out.channels);
  }
  size_t scratch(const Places& places) const override;
  size_t packed_size(const Kernels& kernels, const Kernels& floats) const override {
    return products.packed_size(kernels, floats);
  }
  void pack(const Kernels& kernels, const Kernels& floats, unsigned char* memory) override {
    products.pack(kernels, floats, memory);
  }
  std::unique_ptr<Step> place(const Places& places) const override;
};

std::unique_ptr<ScatteredLayer> make_scattered_layer(const float* weights, const float* bias,
                                                     const Shape& in, size_t channels,
                                                     const Window& window, bool transposed,
                                                     const Finish& finish);

}  // namespace zoo::native
