// Encoding of maps as bytes, for layers that multiply bytes.
#pragma once

#include <memory>

#include "backends/native/network.h"

namespace zoo::native {

// Affine code of activations x: round(x / scale) + zero, clipped to 0…255; after Jacob et al. 2018,
// arXiv:1712.05877, equation 1.
struct ByteCode {
  float scale = 0.0f;   // 0: the range is empty, so that all activations are 0
  float factor = 0.0f;  // 1 / scale, or 0
  int zero = 0;         // code of 0

  // Returns the code of the range from min(low, 0) to max(high, 0).
  static ByteCode of_range(float low, float high);
};

// Encodes a map. In image mode, the padding columns of the result hold the code of 0.
struct Quantize : Operator {
  explicit Quantize(const ByteCode& how) : code(how) {}

  ByteCode code;

  const char* kind() const override { return "quantization"; }
  std::unique_ptr<Step> place(const Places& places) const override;
};

}  // namespace zoo::native
