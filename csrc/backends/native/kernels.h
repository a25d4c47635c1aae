// The inner loops of the native backend, compiled once per instruction set and chosen at run time.
//
// Activations lie in blocks of 16 channels, [channels / 16][slot][16]: what a slot is (an image, a
// pixel, both) is up to the caller. Sums are formed in the order of the products' index with fused
// multiply-adds, so results are the same bits in every instruction set and for every tile.
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
// Distances are counted in floats.
struct TileCall {
  const float* in = nullptr;  // first row, first block
  size_t in_block = 0;        // to the next block of channels
  size_t blocks = 0;          // of channels that go in
  size_t taps = 0;
  const ptrdiff_t* offsets = nullptr;  // of each tap, from `in`
  const uint32_t* places = nullptr;    // of each tap among the packed ones
  const float* weights = nullptr;      // [column block][tap][channel][16]
  size_t tap_size = 0;                 // to the next tap: blocks · 16 · 16
  size_t column_size = 0;              // to the next column block
  const float* bias = nullptr;         // [n][16]
  float slope = 1.0f;                  // leaky ReLU: max(x, slope · x); 1: none, 0: ReLU
  float* out = nullptr;
  size_t out_block = 0;  // to the next column block
  size_t out_step = 0;   // to the next row
};

// A tile of `rows` slots, which lie `step` blocks of 16 apart, and 16·columns columns.
struct Tile {
  size_t rows;
  size_t columns;
  size_t step;
  void (*run)(const TileCall&);
};

// What becomes of the network's last numbers x.
enum class Squash {
  kNone,      // x
  kSigmoid,   // 1 / (1 + e^(-scale·x))
  kTanhUnit,  // (tanh(scale·x) + 1) / 2
};

// One image and 16 channels of a style-based layer (Karras et al. 2019, arXiv:1812.04948, figure
// 1b): x = leaky(blur(in) + bias + strength · noise), then (x - mean) / deviation · scale + shift
// with the mean and the deviation of x over the pixels. Distances in floats.
struct StyleCall {
  const float* in;
  float* out;  // not `in` where there is a blur
  size_t in_row, in_column, out_row, out_column;
  size_t height, width;
  const float* blur;  // [9][16], 3×3 with zeros around; null: none
  const float* bias;  // 16, as the next three
  const float* strength;
  const float* scale;
  const float* shift;
  const float* noise;  // of each pixel
  float noise_scale;
  float slope;
  float epsilon;
};

struct Kernels {
  const char* isa;
  const Tile* tiles;
  size_t tile_count;
  // out[i] = x[i] / √(Σ x² · scale + epsilon), over the 16·blocks channels of each slot.
  void (*pixel_norm)(const float* in, float* out, size_t block, size_t blocks, size_t slots,
                     float scale, float epsilon);
  // [slots][16] to [16][stride], slots a multiple of 16.
  void (*transpose)(const float* in, size_t slots, float* out, size_t stride);
  void (*style)(const StyleCall& call);
  void (*add)(const float* in, size_t count, float* sum);
  // In place: squash, then clip to [low, high].
  void (*squash)(Squash squash, float scale, float low, float high, float* values, size_t count);
  // ⌊255 x + ½⌋ of numbers in [0, 1].
  void (*to_levels)(const float* values, size_t count, uint8_t* levels);
};

// Those of this CPU, best first; empty where it has no fused multiply-add of vectors.
ZOO_API const std::vector<const Kernels*>& supported_kernels();

// The best, or those that use_kernels chose. Throws BackendUnavailableError where there are none.
const Kernels& kernels();

// For tests: false where this CPU has them not. Not while engines are at work.
ZOO_API bool use_kernels(const std::string& isa);

}  // namespace zoo::native
