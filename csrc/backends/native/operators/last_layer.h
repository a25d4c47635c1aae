// What makes the image: the last layer, the function that brings its numbers to the image's range,
// and the conversion to the image's type.
#pragma once

#include <memory>

#include "backends/native/network.h"
#include "backends/native/operators/finish.h"
#include "backends/native/operators/products.h"

namespace zoo::native {

// A convolution, or a transposed one, to a few channels, which would leave most of a tile's columns
// empty. Instead the rows of the input are turned, so that pixels lie beside each other, and added
// up shifted, times a weight each. In floats whatever the elements are. Writes its network's first
// output.
// Where the kernel has few places for the channels that go in, scattered_layer.h is quicker.
struct LastLayer : Operator {
  std::unique_ptr<Products> direct;  // what it is; without weights once these are turned
  Shape out;
  Floats weights;              // of each phase: [channel][tap][output]
  std::vector<size_t> phases;  // where those of each begin
  Finish finish;

  const char* kind() const override { return "last layer"; }
  double operations() const override { return direct->operations(); }
  size_t scratch(const Places& places) const override;
  void pack(const Kernels& kernels, const Kernels& floats) override;
  std::unique_ptr<Step> place(const Places& places) const override;
};

// Most places of its kernel.
constexpr size_t kMostTaps = 256;

std::unique_ptr<LastLayer> make_last_layer(const float* weights, const float* bias, const Shape& in,
                                           size_t channels, const Window& window, bool transposed,
                                           const Finish& finish);

}  // namespace zoo::native
