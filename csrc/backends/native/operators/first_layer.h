// First layer of a network with image inputs.
#pragma once

#include <memory>
#include <vector>

#include "backends/native/operators/ends.h"
#include "backends/native/operators/products.h"

namespace zoo::native {

// Convolution of an image with few channels, which would leave most of a block of 16 empty. The
// image is kept as [row][column][channel], so the columns and channels that one row of the kernel
// covers are contiguous. They serve as the input channels of a product with one tap per kernel row.
struct FirstLayer : Operator {
  Shape image;
  std::vector<Part> parts;  // of any kind except kNumbers
  Window window;
  Products products;

  const char* kind() const override { return "first layer"; }
  double operations() const override { return products.operations(); }
  Layout layout(size_t images, size_t element) const override;
  // Returns the number of elements in an image row, including the zero padding on both sides.
  size_t row() const { return (image.width + 2 * window.padding) * image.channels; }
  size_t scratch(const Places& places) const override;
  size_t packed_size(const Kernels& kernels, const Kernels& floats) const override {
    return products.packed_size(kernels, floats);
  }
  void pack(const Kernels& kernels, const Kernels& floats, unsigned char* memory) override {
    products.pack(kernels, floats, memory);
  }
  std::unique_ptr<Step> place(const Places& places) const override;
};

// Returns true if a convolution of the map that `read` makes can be a FirstLayer.
bool suits_first_layer(const Read& read, const Window& window);

// Makes a FirstLayer from weights [out, in, size, size]; bias may be null.
std::unique_ptr<FirstLayer> make_first_layer(const float* weights, const float* bias,
                                             const Read& read, size_t outputs, const Window& window,
                                             Activation activation);

}  // namespace zoo::native
