// Everything that is products of maps with weights: dense layers, convolutions, and transposed
// convolutions as the convolutions of their phases.
#pragma once

#include <cstdint>
#include <vector>

#include "backends/native/floats.h"
#include "backends/native/map.h"

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

// A layer's weights, packed, and what is done with them. Shared by all instances.
struct Products {
  Shape in;
  Shape out;
  size_t in_stride = 1;
  size_t out_stride = 1;
  size_t rows = 1;  // output pixels of a phase
  size_t columns = 1;
  std::vector<Phase> phases;
  Activation activation;
  Floats weights;  // [out block][tap][in channel, padded][16]; empty once they are packed
  Bytes packed;    // the same in blocks as the kernels read them
  size_t tap_size = 0;
  size_t column_size = 0;
  Floats biases;  // [number][out channel, padded]

  // Columns of zeros that the input needs in image mode.
  size_t padding() const;

  // Makes room for the weights of `taps` kernel places and `sets` of biases, all 0.
  void allocate(size_t taps, size_t sets);
  void set_weight(size_t tap, size_t input, size_t output, float value);
  void set_bias(size_t set, size_t output, float value);
  void pack(const Kernels& kernels);
};

// Weights [out, in], of inputs [N, in], for outputs [N, out] seen as maps of that shape.
Products make_dense(const float* weights, const float* bias, size_t inputs, const Shape& out,
                    Activation activation);

struct Window {
  size_t size;
  size_t stride;
  size_t padding;
};

// Weights [out, in, size, size]; bias may be null. The output is of the shape that follows.
Products make_convolution(const float* weights, const float* bias, const Shape& in, size_t outputs,
                          const Window& window, Activation activation);

// Weights [in, out, size, size] of a transposed convolution.
Products make_transposed(const float* weights, const float* bias, const Shape& in, size_t outputs,
                         const Window& window, Activation activation);

// The cheapest tiles for lines of `length` slots, `step` blocks of 16 apart, that cover so many
// column blocks together.
std::vector<const Tile*> choose_tiles(const Kernels& kernels, size_t step, size_t length,
                                      size_t columns);

// A layer between two places: which tiles, and the taps of every output.
class PlacedProducts {
 public:
  PlacedProducts(const Kernels& kernels, const Products& layer, const Place& in, const Place& out);

  // Of image `image` in image mode, of all of the group in group mode (0).
  void run(const Memory& memory, size_t image) const;

 private:
  // The taps of one run of tiles: outputs of a row in image mode, of a pixel in group mode.
  struct Line {
    size_t begin;  // among offsets_
    size_t count;
    size_t in;  // of the first
    size_t out;
    size_t bias;
  };

  void add_line(const Phase& phase, size_t y, size_t x);
  void run_lines(const Tile& tile, size_t column, const Memory& memory, size_t in,
                 size_t out) const;

  const Products& layer_;
  Place in_, out_;
  size_t length_;   // outputs of a line
  size_t in_step_;  // between them
  size_t out_step_;
  std::vector<Line> lines_;
  std::vector<ptrdiff_t> offsets_;
  std::vector<uint32_t> places_;
  std::vector<const Tile*> tiles_;
};

}  // namespace zoo::native
