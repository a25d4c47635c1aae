// Normalisations of maps.
#pragma once

#include <memory>
#include <string>

#include "backends/native/floats.h"
#include "backends/native/network.h"

namespace zoo::native {

// x / √(mean of x² over the channels + epsilon) at every pixel (Karras et al. 2018,
// arXiv:1710.10196, section 4.2).
struct PixelNorm : Operator {
  float share;  // 1 / channels
  float epsilon;

  PixelNorm(size_t channels, float small)
      : share(1.0f / static_cast<float>(channels)), epsilon(small) {}
  const char* kind() const override { return "pixel norm"; }
  bool in_place() const override { return true; }
  std::unique_ptr<Step> place(const Places& places) const override;
};

// Instance normalisation and what comes before it in style-based networks (NormCall). Scale and
// shift are constants, or the second operand: a wide vector of both, each padded to whole blocks.
struct InstanceNorm : Operator {
  explicit InstanceNorm(const Shape& shape);

  Shape shape;
  Floats blur;      // [channels / 16][9][16]; empty: none
  Floats bias;      // [channels], padded, as the next three
  Floats strength;  // of the noise; empty: none
  Floats scale;
  Floats shift;
  size_t noise = kNone;        // tensor: floats [N, H · W]
  size_t noise_scale = kNone;  // tensor: one float; none: 1
  float slope = 1.0f;
  float end_slope = 1.0f;
  float epsilon = 0.0f;

  const char* kind() const override { return "instance norm"; }
  // A blur reads the neighbours of what it writes.
  bool in_place() const override { return blur.empty(); }
  std::unique_ptr<Step> place(const Places& places) const override;
};

}  // namespace zoo::native
