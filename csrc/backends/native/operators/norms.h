// Normalisation operators.
#pragma once

#include <memory>
#include <string>

#include "backends/native/floats.h"
#include "backends/native/network.h"

namespace zoo::native {

// Pixel normalisation: x / √(mean(x²) + epsilon), with the mean over the channels of each pixel
// (Karras et al. 2018, arXiv:1710.10196, section 4.2).
struct PixelNorm : Operator {
  float share;  // 1 / channels
  float epsilon;

  PixelNorm(size_t channels, float small)
      : share(1.0f / static_cast<float>(channels)), epsilon(small) {}
  const char* kind() const override { return "pixel norm"; }
  bool in_place() const override { return true; }
  std::unique_ptr<Step> place(const Places& places) const override;
};

// Instance normalisation, fused with the preceding operations of style-based networks (NormCall).
// Scale and shift are constants or come from the second operand, a wide vector that holds scale and
// then shift, each padded to whole blocks.
struct InstanceNorm : Operator {
  explicit InstanceNorm(const Shape& shape);

  Shape shape;
  Floats blur;      // [channels / 16][9][16]; empty: no blur
  Floats bias;      // [channels], padded to whole blocks, like the next three
  Floats strength;  // of the noise; empty: no noise
  Floats scale;
  Floats shift;
  NoisePart noise;  // one number per pixel
  float slope = 1.0f;
  float end_slope = 1.0f;
  float epsilon = 0.0f;

  const char* kind() const override { return "instance norm"; }
  // A blur reads the neighbours of the pixel that it writes.
  bool in_place() const override { return blur.empty(); }
  std::unique_ptr<Step> place(const Places& places) const override;
};

}  // namespace zoo::native
