// The inner loops of the native backend, compiled once per precision and instruction set and chosen
// at run time.
//
// Activations are stored in blocks of 16 channels, [channels / 16][slot][16]. A slot is an image, a
// pixel, or a pixel of an image; the caller decides. Elements are float, bfloat16 or bytes. Sums
// are accumulated in float in the order of the reduction index, so results are bitwise identical
// for all tiles; those of bytes are integers, which are exact. In fp32 every instruction set uses
// fused multiply-adds, so results are also bitwise identical across instruction sets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "zoo/export.h"

namespace zoo::native {

// Number of channels in a block, and of weight columns packed together.
constexpr size_t kBlock = 16;

// Arguments of a tile, which multiplies `rows` slots by 16·n columns of weights, where n is the
// tile's number of column blocks:
//   out[n][row] = activation(bias[n] + Σ_tap Σ_channel in[row + offset(tap)][channel] · weights)
// or, for bytes, with the sum of unsigned bytes times signed bytes,
//   out[n][row] = activation(bias[n] + scale[n] · (start[n] + Σ_tap Σ_channel …))
// Strides are in elements.
struct TileCall {
  const void* in = nullptr;  // first row, first block
  size_t in_step = kBlock;   // row stride, used by tiles with step 0
  size_t in_block = 0;       // stride of the channel blocks
  size_t blocks = 0;         // number of input channel blocks
  size_t depth = kBlock;     // channels in the last block
  size_t taps = 0;
  const ptrdiff_t* offsets = nullptr;  // offset of each tap relative to `in`
  const uint32_t* places = nullptr;    // index of each tap in the packed weights
  const void* weights = nullptr;       // [column block][tap][channel block], as packed by `pack`
  size_t tap_size = 0;                 // tap stride: blocks · 16 · 16
  size_t column_size = 0;              // stride of the column blocks
  const float* bias = nullptr;         // [n][16]
  const float* scale = nullptr;        // [n][16], like `start` only for bytes
  const int32_t* start = nullptr;
  float slope = 1.0f;  // of the leaky ReLU max(x, slope · x); 1: identity, 0: ReLU
  void* out = nullptr;
  size_t out_block = 0;  // stride of the column blocks
  size_t out_step = 0;   // row stride
};

// Register tile of `rows` slots by 16·columns weight columns. Input slots are `step` blocks of 16
// elements apart; 0: the stride is TileCall::in_step.
struct Tile {
  size_t rows;
  size_t columns;
  size_t step;
  void (*run)(const TileCall&);         // writes elements; for bytes, bfloat16
  void (*run_sums)(const TileCall&);    // writes floats
  void (*run_halves)(const TileCall&);  // reads weights in half precision; null if unsupported
};

// Output function applied to the values x of the last layer.
enum class Squash {
  kNone,      // x
  kSigmoid,   // 1 / (1 + e^(-scale·x))
  kTanh,      // tanh(scale·x)
  kTanhUnit,  // (tanh(scale·x) + 1) / 2
};

// Arguments of the instance normalisation of 16 channels of one image, fused with the preceding
// operations of a style-based layer (Karras et al. 2019, arXiv:1812.04948, figure 1b):
//   x = leaky(blur(in) + bias + strength · noise)
//   out = leaky((x - mean) / deviation · scale + shift)
// The mean and the standard deviation of x are taken over the pixels. Strides are in elements.
struct NormCall {
  const void* in;
  void* out;  // must differ from `in` if `blur` is set
  size_t in_row, in_column, out_row, out_column;
  size_t height, width;
  const float* blur;  // [9][16], a 3×3 filter with zero padding; null: no blur
  const float* bias;  // [16], like the next three
  const float* strength;
  const float* scale;
  const float* shift;
  const float* noise;  // [height][width]; null: no noise
  float noise_scale;
  float slope;      // of the leaky ReLU before the normalisation
  float end_slope;  // of the leaky ReLU after it
  float epsilon;
};

// Arguments of out = leaky(a + b) for `count` slots of 16 channels. Strides are in elements.
struct CombineCall {
  const void* a;
  const void* b;  // null: out = leaky(a)
  void* out;
  size_t a_step, b_step, out_step;
  size_t count;
  float slope;
};

// Arguments of the kernel transform of minimal filtering, G·kernel·Gᵀ, for the r × r kernels of one
// input channel and 16 output channels.
struct KernelCall {
  size_t size;           // window size, r + 3: 5 or 6
  const float* taps[9];  // [16] each, in row-major order; null: zeros
  float* out;            // [size²][16]
  size_t out_step;       // stride of the size² positions
};

// Arguments of the input transform of minimal filtering (operators/winograd.h), Bᵀ·window·B, for
// one channel block. The size × size window begins at pixel (y, x); pixels outside the image are
// zero. Strides are in elements.
struct WindowCall {
  size_t size;     // 5 or 6
  const void* in;  // pixel (0, 0)
  size_t row, column;
  ptrdiff_t y, x;
  size_t height, width;  // of the image
  float* out;            // [size²][16]
  size_t out_step;       // stride of the size² positions
};

// Arguments of the output transform of minimal filtering, leaky(Aᵀ·products·A + bias). Of the 4×4
// outputs, only those inside the image are written.
struct ProductCall {
  size_t size;      // window size, 5 or 6
  const float* in;  // [size²][16]
  size_t in_step;   // stride of the size² positions
  const float* bias;
  float slope;
  void* out;
  size_t row, column;
  size_t height, width;  // number of outputs to write along each side, at most 4
};

// Arguments of a correlation along rows:
//   out[c][row][i] = bias[c] + Σ_channel Σ_tap in[tap][row][channel][i] · weights[channel][tap][c]
// or, for bytes,
//   out[c][row][i] = bias[c] + scale[c] · (start[c] + Σ_channel Σ_tap …)
// `in` and `weights` hold floats, or in place of a float two channels in bfloat16 or four in bytes,
// which count as one. Strides are in floats.
struct CorrelateCall {
  size_t taps;
  const float* const* in;  // one pointer per tap
  size_t channels;
  size_t in_step;  // channel stride
  size_t in_row;   // row stride
  const float* weights;
  size_t weights_step;  // tap stride
  size_t outputs;       // output channels, at most 3
  const float* bias;
  const float* scale;  // like `start` only for bytes
  const int32_t* start;
  size_t rows;
  size_t count;  // values per row, a multiple of 16
  float* out;
  size_t out_step;  // stride of the output channels
};

// Arguments of the encoding of `count` slots of 16 channels as bytes:
//   out = round(clip(in · factor, -zero, 255 - zero)) + zero
// Halves are rounded to even; NaN becomes 0. Strides are in elements.
struct QuantizeCall {
  const void* in;
  uint8_t* out;
  size_t in_step, out_step;
  size_t count;
  float factor;
  int zero;  // from 0 to 255
};

// Conversion of the levels of an input image: level / divisor · factor + shift.
struct Scaling {
  float divisor = 1.0f;
  float factor = 1.0f;
  float shift = 0.0f;
};

// Function table of one precision and instruction set. That of bytes has only the tiles, `pack`,
// `transpose`, `correlate` and `spin`.
struct Kernels {
  const char* isa;
  size_t element;  // size in bytes
  // The tiles run on matrix units: products cost so little that minimal filtering does not pay.
  bool has_matrix_units = false;
  const Tile* tiles;
  size_t tile_count;
  // Packs a block of 16 × 16 weights [channel][column] into the layout that tiles read: 256
  // elements.
  void (*pack)(const float* weights, void* packed);
  // Like pack, but in half precision; returns false if that would round a weight. Null if elements
  // are not floats.
  bool (*pack_halves)(const float* weights, void* packed);
  // Converts `count` bytes to elements: level / divisor · factor + shift.
  void (*from_levels)(const uint8_t* levels, size_t count, const Scaling& scaling, void* out);
  // Convert the 16 channels of a slot to and from floats.
  void (*load)(const void* from, float* values);
  void (*store)(const float* values, void* to);
  // Computes x / √(Σ x² · scale + epsilon) in place; the sum is over the 16·blocks channels of each
  // slot.
  void (*pixel_norm)(void* map, size_t block, size_t blocks, size_t slots, float scale,
                     float epsilon);
  // Transposes floats [slots][16] to [16][stride]; bfloat16 to [8][stride] and bytes to
  // [4][stride], with two or four consecutive channels in place of a float. slots must be a
  // multiple of 16.
  void (*transpose)(const void* in, size_t slots, float* out, size_t stride);
  void (*instance_norm)(const NormCall& call);
  void (*transform_kernel)(const KernelCall& call);
  void (*transform_window)(const WindowCall& call);
  void (*transform_products)(const ProductCall& call);
  void (*combine)(const CombineCall& call);
  void (*quantize)(const QuantizeCall& call);
  // Adds `in` to `sum`.
  void (*add)(const float* in, size_t count, float* sum);
  void (*correlate)(const CorrelateCall& call);
  // Applies the output function in place, then clips to [low, high].
  void (*squash)(Squash squash, float scale, float low, float high, float* values, size_t count);
  // Runs multiply-adds in registers for `rounds` iterations, as a measure of the peak performance.
  // Returns the number of operations.
  double (*spin)(size_t rounds);
  // Converts values in [0, 1] to levels: ⌊255 x + ½⌋.
  void (*to_levels)(const float* values, size_t count, uint8_t* levels);
};

// Returns the kernels that this CPU supports for a precision ("fp32", "bf16" or "int8"), fastest
// first. fp32 needs AVX2 and FMA, or AArch64; bf16 AVX512-BF16, int8 AVX512-VNNI, and both use AMX
// if they may; empty if none is supported.
ZOO_API std::vector<const Kernels*> supported_kernels(const std::string& precision);

// Returns the fastest supported kernels, or those selected by use_kernels. Throws
// BackendUnavailableError if the CPU supports none.
const Kernels& kernels(const std::string& precision);

// Selects the kernels of their precision for engines loaded from now on; for tests. Returns false
// if this CPU does not support them.
ZOO_API bool use_kernels(const std::string& isa);

}  // namespace zoo::native
