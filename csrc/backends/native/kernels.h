// The inner loops of the native backend, compiled once per precision and instruction set and chosen
// at run time.
//
// Activations lie in blocks of 16 channels, [channels / 16][slot][16]: what a slot is (an image, a
// pixel, both) is up to the caller. Elements are floats or bfloat16; sums are floats, formed in the
// order of the products' index, so results are the same bits for every tile. In fp32 they are fused
// multiply-adds in every instruction set, and so the same bits in all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "zoo/export.h"

namespace zoo::native {

// Channels of a block, and columns of weights that are packed together.
constexpr size_t kBlock = 16;

// Products of `rows` slots with 16·n columns of weights, n being the tile's:
//   out[n][row] = activation(bias[n] + Σ_tap Σ_channel in[row + offset(tap)][channel] · weights)
// Distances are counted in elements.
struct TileCall {
  const void* in = nullptr;  // first row, first block
  size_t in_step = kBlock;   // to the next row, for tiles of any distance
  size_t in_block = 0;       // to the next block of channels
  size_t blocks = 0;         // of channels that go in
  size_t depth = kBlock;     // channels of the last block
  size_t taps = 0;
  const ptrdiff_t* offsets = nullptr;  // of each tap, from `in`
  const uint32_t* places = nullptr;    // of each tap among the packed ones
  const void* weights = nullptr;       // [column block][tap] of blocks as `pack` makes them
  size_t tap_size = 0;                 // to the next tap: blocks · 16 · 16
  size_t column_size = 0;              // to the next column block
  const float* bias = nullptr;         // [n][16]
  float slope = 1.0f;                  // leaky ReLU: max(x, slope · x); 1: none, 0: ReLU
  void* out = nullptr;
  size_t out_block = 0;  // to the next column block
  size_t out_step = 0;   // to the next row
};

// A tile of `rows` slots, which lie `step` blocks of 16 apart (0: as the call says), and 16·columns
// columns. What it gives are elements; `run_sums` gives the sums themselves, as floats.
struct Tile {
  size_t rows;
  size_t columns;
  size_t step;
  void (*run)(const TileCall&);
  void (*run_sums)(const TileCall&);
  void (*run_halves)(const TileCall&);  // of weights in half precision; null: none
};

// What becomes of the network's last numbers x.
enum class Squash {
  kNone,      // x
  kSigmoid,   // 1 / (1 + e^(-scale·x))
  kTanh,      // tanh(scale·x)
  kTanhUnit,  // (tanh(scale·x) + 1) / 2
};

// Instance normalisation of one image and 16 channels, with what a style-based layer does before it
// (Karras et al. 2019, arXiv:1812.04948, figure 1b): x = leaky(blur(in) + bias + strength · noise),
// then leaky((x - mean) / deviation · scale + shift) with the mean and the deviation of x over the
// pixels. Distances in elements.
struct NormCall {
  const void* in;
  void* out;  // not `in` where there is a blur
  size_t in_row, in_column, out_row, out_column;
  size_t height, width;
  const float* blur;  // [9][16], 3×3 with zeros around; null: none
  const float* bias;  // 16, as the next three
  const float* strength;
  const float* scale;
  const float* shift;
  const float* noise;  // of each pixel; null: none
  float noise_scale;
  float slope;  // before
  float end_slope;
  float epsilon;
};

// out = leaky(a + b) of `count` slots of 16 channels. Distances in elements.
struct CombineCall {
  const void* a;
  const void* b;  // null: none
  void* out;
  size_t a_step, b_step, out_step;
  size_t count;
  float slope;
};

// Kernels of r × r numbers for 16 outputs of one input, for minimal filtering: G·kernel·Gᵀ.
struct KernelCall {
  size_t size;           // of the windows, r + 3: 5 or 6
  const float* taps[9];  // 16 numbers each, row by row; null: zeros
  float* out;            // 16 of the first place
  size_t out_step;       // to the next of size²
};

// Windows of size × size inputs of one block, for minimal filtering (operators/winograd.h):
// Bᵀ·window·B of the pixels from (y, x) on, with zeros outside the picture. Distances in elements.
struct WindowCall {
  size_t size;     // 5 or 6
  const void* in;  // pixel (0, 0)
  size_t row, column;
  ptrdiff_t y, x;
  size_t height, width;  // of the picture
  float* out;            // 16 of the first place
  size_t out_step;       // to the next of size²
};

// And back: leaky(Aᵀ·products·A + bias), of 4×4 outputs those that are in the picture.
struct ProductCall {
  size_t size;      // of the windows
  const float* in;  // 16 of the first place
  size_t in_step;   // to the next of size²
  const float* bias;
  float slope;
  void* out;
  size_t row, column;
  size_t height, width;  // outputs, at most 4
};

// Sums of shifted rows, in floats: out[c][row][i] = bias[c] + Σ_channel Σ_tap
// in[tap][row][channel][i] · weights[channel][tap][c]. Distances in floats.
struct CorrelateCall {
  size_t taps;
  const float* const* in;  // of each tap
  size_t channels;
  size_t in_step;  // to the next channel
  size_t in_row;   // to the next row
  const float* weights;
  size_t weights_step;  // to the next tap
  size_t outputs;       // at most 3
  const float* bias;
  size_t rows;
  size_t count;  // numbers of a row, a multiple of 16
  float* out;
  size_t out_step;  // to the next output
};

// What becomes of the levels of an image that comes in.
struct Scaling {
  float divisor = 1.0f;
  float factor = 1.0f;
  float shift = 0.0f;
};

struct Kernels {
  const char* isa;
  size_t element;  // bytes
  const Tile* tiles;
  size_t tile_count;
  // A block of 16 × 16 weights [channel][column], as tiles read it: 256 elements.
  void (*pack)(const float* weights, void* packed);
  // The same in half precision; false where that loses anything. Null where elements are no floats.
  bool (*pack_halves)(const float* weights, void* packed);
  // level / divisor · factor + shift of `count` bytes, as elements.
  void (*from_levels)(const uint8_t* levels, size_t count, const Scaling& scaling, void* out);
  // 16 channels of a slot.
  void (*load)(const void* from, float* values);
  void (*store)(const float* values, void* to);
  // x / √(Σ x² · scale + epsilon), over the 16·blocks channels of each slot.
  // In place.
  void (*pixel_norm)(void* map, size_t block, size_t blocks, size_t slots, float scale,
                     float epsilon);
  // [slots][16] to floats [16][stride], slots a multiple of 16.
  void (*transpose)(const void* in, size_t slots, float* out, size_t stride);
  void (*instance_norm)(const NormCall& call);
  void (*transform_kernel)(const KernelCall& call);
  void (*transform_window)(const WindowCall& call);
  void (*transform_products)(const ProductCall& call);
  void (*combine)(const CombineCall& call);
  void (*add)(const float* in, size_t count, float* sum);
  void (*correlate)(const CorrelateCall& call);
  // In place: squash, then clip to [low, high].
  void (*squash)(Squash squash, float scale, float low, float high, float* values, size_t count);
  // Multiplies and adds in registers, `rounds` times; returns how many operations that were.
  double (*spin)(size_t rounds);
  // ⌊255 x + ½⌋ of numbers in [0, 1].
  void (*to_levels)(const float* values, size_t count, uint8_t* levels);
};

// Those of this CPU for a precision ("fp32", "bf16"), best first; empty where it has none: fp32
// needs AVX2 and FMA, bf16 AVX512-BF16.
ZOO_API std::vector<const Kernels*> supported_kernels(const std::string& precision);

// Whether this CPU multiplies matrices of bfloat16 (AMX), which these kernels do not use.
bool has_matrix_units();

// The best, or those that use_kernels chose. Throws BackendUnavailableError where there are none.
const Kernels& kernels(const std::string& precision);

// For tests: engines that are loaded from now on take these in fp32. False where this CPU has them
// not.
ZOO_API bool use_kernels(const std::string& isa);

}  // namespace zoo::native
