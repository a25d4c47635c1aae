// Last layer of an image network, fused with the output function and the conversion to the type of
// the image.
#pragma once

#include <memory>

#include "backends/native/network.h"
#include "backends/native/operators/finish.h"
#include "backends/native/operators/products.h"

namespace zoo::native {

// Convolution or transposed convolution to a few channels, which would leave most of a tile's
// columns empty. Instead, the rows of the input are transposed so that pixels are contiguous, and
// shifted rows are multiplied by one weight each and accumulated. If the operand is bfloat16 or
// bytes, two or four channels take the place of a float. Writes the first output of the network. If
// the kernel has few taps compared with the input channels, scattered_layer.h is faster.
struct LastLayer : Operator {
  std::unique_ptr<Products> direct;  // the layer; its weights are released once transposed
  Shape out;
  Floats weights;               // for each phase: [channel][term][tap][output]
  std::vector<size_t> phases;   // offset of each phase in `weights`
  std::vector<int32_t> starts;  // of sums of bytes: [phase][output]
  size_t together = 1;          // channels that take the place of a float
  // Numbers whose sum is a weight. Two bfloat16 for a kernel of one tap, whose few products would
  // otherwise add more error than the rest of the network.
  size_t terms = 1;
  Finish finish;

  const char* kind() const override { return "last layer"; }
  double operations() const override { return direct->operations(); }
  size_t scratch(const Places& places) const override;
  void pack(const Kernels& kernels, const Kernels& floats, unsigned char* memory) override;
  std::unique_ptr<Step> place(const Places& places) const override;
};

// Maximum number of kernel taps.
constexpr size_t kMostTaps = 256;

std::unique_ptr<LastLayer> make_last_layer(const float* weights, const float* bias, const Shape& in,
                                           size_t channels, const Window& window, bool transposed,
                                           const Finish& finish);

}  // namespace zoo::native
