// Convolutions of 3×3 with fewer multiplications.
#pragma once

#include <memory>

#include "backends/native/operators/products.h"

namespace zoo::native {

// A 3×3 convolution of stride 1 by minimal filtering, F(4×4, 3×3) (Lavin & Gray 2016,
// arXiv:1509.09308): 36 multiplications for 16 outputs instead of 144. Windows of 6×6 inputs and
// the kernels are transformed; the products of each of the 36 places are matrix products; and these
// are transformed back. In floats only: bfloat16 is too coarse for the sums of the transforms.
struct Winograd : Operator {
  std::unique_ptr<Products> direct;  // what it is; without weights where these are transformed
  size_t padding_before;             // of the convolution
  Products places;                   // the transformed kernels, one as each tap; empty: direct

  Winograd(std::unique_ptr<Products> convolution, size_t before);

  bool is_transformed() const { return !places.packed.empty(); }
  const char* kind() const override { return "convolution"; }
  double operations() const override { return direct->operations(); }
  size_t padding() const override { return is_transformed() ? 0 : direct->padding(); }
  Layout layout(size_t images, size_t element) const override;
  size_t scratch(const Places& places) const override;
  void pack(const Kernels& kernels) override;
  std::unique_ptr<Step> place(const Places& places) const override;
};

// Whether a convolution is of its kind and large enough to gain.
bool suits_winograd(const Shape& in, size_t outputs, const Window& window);

}  // namespace zoo::native
