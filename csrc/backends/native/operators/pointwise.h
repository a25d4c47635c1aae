// What is done to each number of a map by itself, and maps beside each other.
#pragma once

#include <memory>

#include "backends/native/network.h"

namespace zoo::native {

// leaky(a + b) of images image … image + count - 1, wherever the maps lie; b may be null.
void combine_maps(const Kernels& kernels, const Memory& memory, const Place& a, const Place* b,
                  const Place& out, float slope, size_t image, size_t count);

// leaky(a + b), or leaky(a) of a single operand.
struct Combine : Operator {
  explicit Combine(float leak) : slope(leak) {}

  float slope;

  const char* kind() const override { return "sum"; }
  bool in_place() const override { return true; }
  std::unique_ptr<Step> place(const Places& places) const override;
};

// x · factor where the noise is over the threshold, else 0.
struct Dropout : Operator {
  size_t noise;  // tensor: floats [N, C · H · W]
  float factor;
  float threshold;

  const char* kind() const override { return "dropout"; }
  bool in_place() const override { return true; }
  std::unique_ptr<Step> place(const Places& places) const override;
};

// Maps of whole blocks (the last one may be ragged), whose channels follow each other. They are
// computed where they belong.
struct Join : Operator {
  const char* kind() const override { return "join"; }
  bool joins() const override { return true; }
  std::unique_ptr<Step> place(const Places&) const override { return nullptr; }
};

}  // namespace zoo::native
