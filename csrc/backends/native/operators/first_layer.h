// The first layer of a network that images go into.
#pragma once

#include <memory>
#include <vector>

#include "backends/native/operators/ends.h"
#include "backends/native/operators/products.h"

namespace zoo::native {

// A convolution of an image of few channels, which would leave most of a block of 16 empty. The
// image is read as it comes, [row][column][channel], and the columns and channels that a row of the
// kernel covers lie one after the other: they are the channels of a product with a tap for each
// row.
struct FirstLayer : Operator {
  Shape image;
  std::vector<Part> parts;  // no kNumbers
  Window window;
  Products products;

  const char* kind() const override { return "first layer"; }
  double operations() const override { return products.operations(); }
  Layout layout(size_t images, size_t element) const override;
  // Elements of a row, with the columns of zeros on either side.
  size_t row() const { return (image.width + 2 * window.padding) * image.channels; }
  size_t scratch(const Places& places) const override;
  void pack(const Kernels& kernels, const Kernels& floats) override {
    products.pack(kernels, floats);
  }
  std::unique_ptr<Step> place(const Places& places) const override;
};

// Whether what a map is read from suits it.
bool suits_first_layer(const Read& read, const Window& window);

// Weights [out, in, size, size]; bias may be null.
std::unique_ptr<FirstLayer> make_first_layer(const float* weights, const float* bias,
                                             const Read& read, size_t outputs, const Window& window,
                                             Activation activation);

}  // namespace zoo::native
