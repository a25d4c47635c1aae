// Element-wise operators, and concatenation of maps.
#pragma once

#include <memory>

#include "backends/native/network.h"

namespace zoo::native {

// Computes out = leaky(a + b) for images image … image + count - 1. The maps may have different
// layouts; b may be null.
void combine_maps(const Kernels& kernels, const Memory& memory, const Place& a, const Place* b,
                  const Place& out, float slope, size_t image, size_t count);

// Leaky ReLU of a sum: leaky(a + b), or leaky(a) for a single operand.
struct Combine : Operator {
  explicit Combine(float leak) : slope(leak) {}

  float slope;

  const char* kind() const override { return "sum"; }
  bool in_place() const override { return true; }
  std::unique_ptr<Step> place(const Places& places) const override;
};

// Dropout: x · factor where the noise exceeds the threshold, else 0.
struct Dropout : Operator {
  NoisePart noise;  // C · H · W numbers
  float factor;
  float threshold;

  const char* kind() const override { return "dropout"; }
  bool in_place() const override { return true; }
  std::unique_ptr<Step> place(const Places& places) const override;
};

// Concatenation of maps along the channels. All but the last consist of whole blocks. The operands
// are computed directly in the memory of the result.
struct Join : Operator {
  const char* kind() const override { return "join"; }
  bool joins() const override { return true; }
  std::unique_ptr<Step> place(const Places&) const override { return nullptr; }
};

}  // namespace zoo::native
