// Layers that multiply maps by weights: dense layers, convolutions, and transposed convolutions,
// which are computed as one convolution per output phase.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "backends/native/floats.h"
#include "backends/native/network.h"
#include "backends/native/operators/quantize.h"

namespace zoo::native {

// Kernel tap: the offset of its input pixel from the one that corresponds to the output pixel, and
// the index of its weights.
struct Tap {
  int dy;
  int dx;
  uint32_t weights;
};

// Output pixels that use the same taps: every `out_stride`th pixel along both axes from (y, x) on.
struct Phase {
  size_t y;
  size_t x;
  std::vector<Tap> taps;
  size_t bias;  // index of the set of biases
};

struct Activation {
  float slope = 1.0f;  // of the leaky ReLU; 1: identity
};

// Dense layer, convolution or transposed convolution with an activation. If its operand is bytes,
// its weights are signed bytes, whole multiples of a scale per output channel (and pixel, of a
// dense layer that makes a map): the largest magnitude of the channel's weights divided by 127.
struct Products : Operator {
  Shape in;
  Shape out;
  size_t in_stride = 1;
  size_t out_stride = 1;
  size_t rows = 1;  // output pixels of a phase
  size_t columns = 1;
  std::vector<Phase> phases;
  Activation activation;
  Floats weights;  // [out block][tap][in channel, padded][16]; empty once packed
  const unsigned char* packed = nullptr;  // the weights in the layout that the kernels read
  bool streams = false;                   // each weight is used once per image
  bool halves = false;                    // packed in half precision, as in the engine file
  size_t tap_size = 0;
  size_t column_size = 0;
  Floats biases;                  // [set][out channel, padded]
  std::optional<ByteCode> code;   // of an operand that is bytes
  Floats scales;                  // [set][out channel, padded], of the sums of bytes
  std::vector<int32_t> tap_sums;  // [tap][out channel, padded], of the weights as bytes

  const char* kind() const override;
  double operations() const override;
  size_t padding() const override;
  Layout layout(size_t images, size_t element) const override;
  size_t packed_size(const Kernels& kernels, const Kernels& floats) const override;
  void pack(const Kernels& kernels, const Kernels& floats, unsigned char* memory) override;
  std::unique_ptr<Step> place(const Places& places) const override;

  // Packs the weights of one column block.
  void pack_column(const Kernels& kernels, const float* from, unsigned char* memory) const;

  // Returns the size of a packed weight in bytes.
  size_t weight_size(const Kernels& kernels) const { return halves ? 2 : kernels.element; }

  // Returns true if sums of bytes fit into 32 bits.
  bool fits_bytes() const;
  // Returns true if tiles are faster with bytes, although the operand must be encoded.
  bool gains_from_bytes() const;
  // Replaces the weights by whole numbers from -127 to 127, for `code`.
  void quantize_weights();

  // Returns a call of a tile with the strides of the weights, and the blocks of the input.
  TileCall make_call() const;

  // Sets the strides of the weights of `taps` kernel taps.
  void set_strides(size_t taps);
  // Allocates the weights of `taps` kernel taps and `sets` sets of biases, all 0.
  void allocate(size_t taps, size_t sets);
  void set_weight(size_t tap, size_t input, size_t output, float value);
  void set_bias(size_t set, size_t output, float value);
};

// Makes a dense layer from weights [outputs, inputs]. Maps are flattened in the order [C, H, W]. At
// least one of `in` and `out` is a vector.
std::unique_ptr<Products> make_dense(const float* weights, const float* bias, const Shape& in,
                                     const Shape& out, Activation activation);

struct Window {
  size_t size;
  size_t stride;
  size_t padding;
};

// Returns the output shape of a convolution.
Shape convolved(const Shape& in, size_t outputs, const Window& window);

// Makes a convolution from weights [out, in, size, size]; bias may be null. The output shape is
// convolved(in, outputs, window).
std::unique_ptr<Products> make_convolution(const float* weights, const float* bias, const Shape& in,
                                           size_t outputs, const Window& window,
                                           Activation activation);

// Makes a transposed convolution from weights [in, out, size, size]; bias may be null.
std::unique_ptr<Products> make_transposed(const float* weights, const float* bias, const Shape& in,
                                          size_t outputs, const Window& window,
                                          Activation activation);

// Returns the fastest tiles for lines of `length` slots that are `step` blocks of 16 apart. The
// tiles together cover `columns` column blocks.
std::vector<const Tile*> choose_tiles(const Kernels& kernels, size_t step, size_t length,
                                      size_t columns);

// Describes tiles as text, e.g. "8×48 2·8×32": the rows × columns of each tile, preceded by the
// number of consecutive equal tiles.
std::string describe_tiles(const std::vector<const Tile*>& tiles);

}  // namespace zoo::native
