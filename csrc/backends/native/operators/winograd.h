// Convolutions with fewer multiplications.
#pragma once

#include <memory>
#include <vector>

#include "backends/native/operators/products.h"

namespace zoo::native {

// Outputs of a tile along a side.
constexpr size_t kWinogradSide = 4;

// Slots that are transformed together: their windows and products stay in the second-level cache.
constexpr size_t kWinogradSlots = 16;

inline size_t winograd_tiles_along(size_t length) {
  return (length + kWinogradSide - 1) / kWinogradSide;
}

// Tiles of a phase of the output.
inline size_t tile_count(const Products& direct) {
  return winograd_tiles_along(direct.rows) * winograd_tiles_along(direct.columns);
}

// Windows of the input that are transformed alike: every `stride`th pixel from (phase_y, phase_x)
// on, those of the output pixel (y, x) from (y + begin_y, x + begin_x) on.
struct WindowSource {
  size_t phase_y, phase_x;
  ptrdiff_t begin_y, begin_x;
};

// A convolution by minimal filtering, F(4×4, r×r) (Lavin & Gray 2016, arXiv:1509.09308): windows of
// (3 + r)² inputs and the kernels are transformed, the products of each place of a window are
// matrix products, and these are transformed back to 4×4 outputs. A kernel of 3×3 takes 36
// multiplications for what are 144. One of 4×4 and stride 2 is a sum of four of 2×2, one of each
// phase of the input; transposed it is four of 2×2, one for each phase of the output: 25
// multiplications for 64.
//
// Windows, their products and the transformed kernels are floats: bfloat16 is too coarse for sums
// of them. Between layers of bfloat16 only kernels of 3×3 gain by it.
struct Winograd : Operator {
  // Of a phase of the output: the windows whose products are added up, and where their transformed
  // kernels are.
  struct Sum {
    std::vector<size_t> sources;
    std::vector<uint32_t> kernels;
  };

  std::unique_ptr<Products> direct;  // what it is; without weights where these are transformed
  size_t taps = 0;                   // r
  std::vector<WindowSource> sources;
  std::vector<Sum> sums;  // of each phase of `direct`
  Products places;        // the transformed kernels, (3 + r)² taps each; empty: direct

  explicit Winograd(std::unique_ptr<Products> convolution);

  size_t window() const { return 3 + taps; }
  bool is_transformed() const { return !places.packed.empty(); }
  const char* kind() const override { return direct->kind(); }
  double operations() const override { return direct->operations(); }
  size_t padding() const override { return is_transformed() ? 0 : direct->padding(); }
  Layout layout(size_t images, size_t element) const override;
  size_t scratch(const Places& places) const override;
  void pack(const Kernels& kernels, const Kernels& floats) override;
  std::unique_ptr<Step> place(const Places& places) const override;
};

// Whether it is worth the work for a convolution: the kernels' places must be few enough, and the
// transformed weights not so many that reading them takes longer.
bool suits_winograd(const Products& convolution);

}  // namespace zoo::native
