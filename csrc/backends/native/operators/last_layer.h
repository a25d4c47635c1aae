// What makes the image: the last layer, the function that brings its numbers to the image's range,
// and the conversion to the image's type.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "backends/native/network.h"
#include "backends/native/operators/products.h"

namespace zoo::native {

// How an image that comes out contains the one that went in, bytes [H, W, channels] with values
// from 0 to 1 in steps of 1/255.
struct Original {
  enum Kind {
    kAdded,    // image = original + x
    kBlended,  // image = mask · original + (1 - mask) · x, the mask being its last channel
  } kind;
  size_t input;  // tensor
  size_t channels;
};

// Beyond all numbers of a network: the bounds of what is not clipped.
constexpr float kHuge = 3.4e38f;

// image = clip(original with squash(scale · x), low, high), as bytes if `levels`.
struct Finish {
  Squash squash = Squash::kNone;
  float scale = 1.0f;
  float low = 0.0f;
  float high = 1.0f;
  bool levels = true;                   // bytes [N, H, W, C]; else floats [N, C, H, W]
  std::vector<Original> original = {};  // none or one
};

// A convolution, or a transposed one, to one or three channels. So few would leave most of a tile
// empty. Instead each input pixel is multiplied with the weights of all places of the kernel at
// once, and the products are added up where they belong. Writes its network's first output.
struct LastLayer : Operator {
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

std::unique_ptr<LastLayer> make_last_layer(const float* weights, const float* bias, const Shape& in,
                                           size_t channels, const Window& window, bool transposed,
                                           const Finish& finish);

// The end of a network whose last layer is dense: a vector, wide, with a number for each of an
// image [C, H, W]. Writes its network's first output.
struct DenseImage : Operator {
  Shape image;
  Finish finish;

  DenseImage(const Shape& shape, const Finish& end) : image(shape), finish(end) {}
  const char* kind() const override { return "image"; }
  size_t scratch(const Places& places) const override;
  std::unique_ptr<Step> place(const Places& places) const override;
};

}  // namespace zoo::native
