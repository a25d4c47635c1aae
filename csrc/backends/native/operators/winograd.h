// Convolutions by Winograd's minimal filtering.
#pragma once

#include <memory>
#include <vector>

#include "backends/native/operators/products.h"

namespace zoo::native {

// Side length of a tile, in output pixels.
constexpr size_t kWinogradSide = 4;

// Number of slots transformed together; their windows and products stay in the L2 cache.
constexpr size_t kWinogradSlots = 16;

inline size_t winograd_tiles_along(size_t length) {
  return (length + kWinogradSide - 1) / kWinogradSide;
}

// Returns the number of tiles that cover one phase of the output.
inline size_t tile_count(const Products& direct) {
  return winograd_tiles_along(direct.rows) * winograd_tiles_along(direct.columns);
}

// Source of transformed input windows: one phase of the input, which consists of every `stride`th
// pixel from (phase_y, phase_x) on. The window of output pixel (y, x) begins at pixel
// (y + begin_y, x + begin_x) of the phase.
struct WindowSource {
  size_t phase_y, phase_x;
  int begin_y, begin_x;
  std::vector<Tap> taps;  // of the kernel that the windows are multiplied with, from the begin on
};

// Convolution by minimal filtering, F(4×4, r×r) (Lavin & Gray 2016, arXiv:1509.09308). Windows of
// (3 + r)² inputs and the kernels are transformed, each position of the window is a matrix product,
// and the products are transformed back to 4×4 outputs. A 3×3 kernel needs 36 multiplications
// instead of 144. A 4×4 kernel with stride 2 is the sum of four 2×2 kernels, one per phase of the
// input; a transposed one is four 2×2 kernels, one per phase of the output. Each 2×2 kernel needs
// 25 multiplications instead of 64.
//
// Windows, products and transformed kernels are floats, because bfloat16 is too coarse for their
// sums. Between bfloat16 layers only 3×3 kernels are faster this way.
struct Winograd : Operator {
  // Sum of products for one phase of the output: a range of the sources.
  struct Sum {
    size_t begin;
    size_t count;
  };

  std::unique_ptr<Products> direct;  // the convolution; its weights are released once transformed
  size_t taps = 0;                   // r
  std::vector<WindowSource> sources;
  std::vector<Sum> sums;  // one per phase of `direct`
  Products places;        // transformed kernels of the sources, (3 + r)² taps each

  explicit Winograd(std::unique_ptr<Products> convolution);

  // Returns true if minimal filtering is faster in the precision of `kernels` too.
  bool transforms(const Kernels& kernels) const;
  // Returns true if minimal filtering is faster for a convolution: it needs fewer multiplications,
  // and reading the transformed weights does not take longer than it saves.
  bool pays() const;
  size_t window() const { return 3 + taps; }
  bool is_transformed() const { return places.packed != nullptr; }
  const char* kind() const override { return direct->kind(); }
  double operations() const override { return direct->operations(); }
  size_t padding() const override { return is_transformed() ? 0 : direct->padding(); }
  Layout layout(size_t images, size_t element) const override;
  size_t scratch(const Places& places) const override;
  size_t packed_size(const Kernels& kernels, const Kernels& floats) const override;
  void pack(const Kernels& kernels, const Kernels& floats, unsigned char* memory) override;
  std::unique_ptr<Step> place(const Places& places) const override;
};

}  // namespace zoo::native
