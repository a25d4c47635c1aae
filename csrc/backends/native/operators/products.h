// Everything that is products of maps with weights: dense layers, convolutions, and transposed
// convolutions as the convolutions of their phases.
#pragma once

#include <cstdint>
#include <vector>

#include "backends/native/floats.h"
#include "backends/native/network.h"

namespace zoo::native {

// A place of a kernel: an input pixel, relative to the one that belongs to the output pixel, and
// the number of its weights.
struct Tap {
  int dy;
  int dx;
  uint32_t weights;
};

// Output pixels that are made alike: every `out_stride`th from (y, x) on.
struct Phase {
  size_t y;
  size_t x;
  std::vector<Tap> taps;
  size_t bias;  // number of its biases
};

struct Activation {
  float slope = 1.0f;  // leaky ReLU; 1: none
};

// A layer's weights, and what is done with them.
struct Products : Operator {
  Shape in;
  Shape out;
  size_t in_stride = 1;
  size_t out_stride = 1;
  size_t rows = 1;  // output pixels of a phase
  size_t columns = 1;
  std::vector<Phase> phases;
  Activation activation;
  Floats weights;        // [out block][tap][in channel, padded][16]; empty once they are packed
  Bytes packed;          // the same in blocks as the kernels read them
  bool streams = false;  // each weight is read for one product of an image
  bool halves = false;   // packed in half precision, as the engine file has them
  size_t tap_size = 0;
  size_t column_size = 0;
  Floats biases;  // [number][out channel, padded]

  const char* kind() const override;
  double operations() const override;
  size_t padding() const override;
  Layout layout(size_t images, size_t element) const override;
  void pack(const Kernels& kernels, const Kernels& floats) override;
  std::unique_ptr<Step> place(const Places& places) const override;

  // Bytes of a packed weight.
  size_t weight_size(const Kernels& kernels) const { return halves ? 2 : kernels.element; }

  // Makes room for the weights of `taps` kernel places and `sets` of biases, all 0.
  void allocate(size_t taps, size_t sets);
  void set_weight(size_t tap, size_t input, size_t output, float value);
  void set_bias(size_t set, size_t output, float value);

 private:
  // Packs all blocks; false where one could not be.
  template <typename Pack>
  bool pack_as(const Pack& pack_block, size_t size);
};

// Weights [outputs, in], of maps [N, in] in the order [C, H, W], for outputs seen as maps of that
// shape; one of both is a vector.
std::unique_ptr<Products> make_dense(const float* weights, const float* bias, const Shape& in,
                                     const Shape& out, Activation activation);

struct Window {
  size_t size;
  size_t stride;
  size_t padding;
};

// The shape of what a convolution makes.
Shape convolved(const Shape& in, size_t outputs, const Window& window);

// Weights [out, in, size, size]; bias may be null. The output is of the shape that follows.
std::unique_ptr<Products> make_convolution(const float* weights, const float* bias, const Shape& in,
                                           size_t outputs, const Window& window,
                                           Activation activation);

// Weights [in, out, size, size] of a transposed convolution.
std::unique_ptr<Products> make_transposed(const float* weights, const float* bias, const Shape& in,
                                          size_t outputs, const Window& window,
                                          Activation activation);

// The cheapest tiles for lines of `length` slots, `step` blocks of 16 apart, that cover so many
// column blocks together.
std::vector<const Tile*> choose_tiles(const Kernels& kernels, size_t step, size_t length,
                                      size_t columns);

// "8×48 2·8×32": rows and columns of each, and how many there are one after the other.
std::string describe_tiles(const std::vector<const Tile*>& tiles);

}  // namespace zoo::native
