// What makes the image: the last layer, the function that brings its numbers to the image's range,
// and the conversion to the image's type.
#pragma once

#include <cstdint>
#include <vector>

#include "backends/native/products.h"

namespace zoo::native {

// image = clip(squash(scale · x), low, high), as bytes if `levels`.
struct Finish {
  Squash squash = Squash::kNone;
  float scale = 1.0f;
  float low = 0.0f;
  float high = 1.0f;
  bool levels = true;  // bytes [N, H, W, C]; else floats [N, C, H, W]
};

// A convolution, or a transposed one, to one or three channels. So few would leave most of a tile
// empty. Instead each input pixel is multiplied with the weights of all places of the kernel at
// once, and the products are added up where they belong.
struct LastLayer {
  Shape in;
  Shape out;
  Window window;
  bool transposed = false;
  Products products;  // 1×1, to the channel (c · size + row) · size + column
  std::vector<float> bias;
  Finish finish;
};

LastLayer make_last_layer(const float* weights, const float* bias, const Shape& in, size_t channels,
                          const Window& window, bool transposed, const Finish& finish);

class PlacedLastLayer {
 public:
  // `scratch`: where scratch_size() floats of the memory are its own.
  PlacedLastLayer(const Kernels& kernels, const LastLayer& layer, const Place& in, size_t scratch);

  static size_t scratch_size(const LastLayer& layer, const Place& in);

  // Writes `count` images of the group to `out`; in image mode one, number `image`.
  void run(const Memory& memory, size_t image, size_t count, void* out) const;

 private:
  // Of the sums of one row of one channel: those of the columns of each phase side by side, the
  // images innermost.
  struct Layout {
    size_t images;  // of a pixel
    size_t slots;   // of an input row
    size_t padded;  // a multiple of 16
    size_t margin;  // before and after a phase's sums, for what falls beside the picture
    size_t phase;   // floats from one phase to the next
    size_t phases;
    size_t row;                     // floats of a row
    size_t products, turned, sums;  // offsets in the scratch memory
    size_t size;
  };
  static Layout layout(const LastLayer& layer, const Place& in);

  void multiply(const Memory& memory, size_t in, size_t y, float* scratch) const;
  void add_up(size_t y, float* scratch) const;
  void finish(size_t count, float* scratch, void* out) const;
  template <typename T>
  void spread(const T* row, size_t channel, size_t y, size_t count, T* out) const;

  const Kernels& kernels_;
  const LastLayer& layer_;
  Place in_;
  size_t scratch_;
  Layout layout_;
  std::vector<const Tile*> tiles_;
};

// The end of a network whose last layer is dense: a map of 1×1 with a channel for each number of
// an image [C, H, W].
struct DenseImage {
  Shape image;
  Finish finish;
};

size_t dense_image_scratch(const DenseImage& layer);
void run_dense_image(const Kernels& kernels, const DenseImage& layer, const Place& in,
                     const Memory& memory, size_t image, size_t count, size_t scratch, void* out);

}  // namespace zoo::native
