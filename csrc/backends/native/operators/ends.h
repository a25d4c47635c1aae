// Operators that read the inputs of a network, and that write its outputs other than images.
#pragma once

#include <memory>
#include <vector>

#include "backends/native/network.h"

namespace zoo::native {

// Channels of a map that are filled from one tensor.
struct Part {
  enum Kind {
    kNumbers,   // floats [N, row]; C · H · W values from column `offset` on
    kRepeated,  // floats [N, C], repeated at every pixel
    kClass,     // class labels, int64 [N], one-hot encoded as C values
    kLevels,    // bytes [N, H, W, C], converted with `scaling`
  } kind;
  size_t input;  // tensor
  size_t channels;
  size_t row = 0;
  size_t offset = 0;
  Scaling scaling = {};  // for kLevels

  // Returns the value of a channel of a kRepeated or kClass part.
  float of_image(const Run& run, size_t image, size_t channel) const;
};

// Reads input tensors into a map, one part after the other along the channels.
struct Read : Operator {
  Shape shape;
  std::vector<Part> parts;

  const char* kind() const override { return "read"; }
  Layout layout(size_t images, size_t element) const override;
  std::unique_ptr<Step> place(const Places& places) const override;
};

// Learned constant map, the same for every image.
struct LearnedMap : Operator {
  Shape shape;
  std::vector<float> values;  // [C, H, W]

  const char* kind() const override { return "learned map"; }
  Layout layout(size_t, size_t) const override { return Layout::kGrouped; }
  std::unique_ptr<Step> place(const Places& places) const override;
};

// Truncation of a wide style vector w: w̄ + ψ (w - w̄) (Karras et al. 2019, appendix B).
struct Truncate : Operator {
  size_t truncation;  // tensor: ψ
  std::vector<float> mean;

  const char* kind() const override { return "truncation"; }
  bool in_place() const override { return true; }
  std::unique_ptr<Step> place(const Places& places) const override;
};

// Writes a map as floats [N, C · H · W], or ranges of its values to several tensors.
struct Write : Operator {
  enum Function { kIdentity, kSigmoid, kSoftmax } function = kIdentity;
  struct Target {
    size_t output;  // tensor
    size_t first;   // index of the first value in a row
    size_t count;
  };
  std::vector<Target> targets;

  const char* kind() const override { return "write"; }
  size_t scratch(const Places& places) const override;
  std::unique_ptr<Step> place(const Places& places) const override;
};

}  // namespace zoo::native
