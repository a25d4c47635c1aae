// Where numbers come into a network, and where they leave it other than as images.
#pragma once

#include <memory>
#include <vector>

#include "backends/native/network.h"

namespace zoo::native {

// Channels of a map that one tensor fills.
struct Part {
  enum Kind {
    kNumbers,   // floats [N, C · H · W], from the `offset`th of each row of `row` numbers on
    kRepeated,  // floats [N, C], the same at every pixel
    kClass,     // the class of each image, int64 [N], as C numbers: 1 for its own, 0 for others
    kLevels,    // bytes [N, H, W, C], scaled
  } kind;
  size_t input;  // tensor
  size_t channels;
  size_t row = 0;
  size_t offset = 0;
  Scaling scaling = {};  // of levels

  // A number of kRepeated or kClass.
  float of_image(const Run& run, size_t image, size_t channel) const;
};

// A map of what goes in, parts one beside the other.
struct Read : Operator {
  Shape shape;
  std::vector<Part> parts;

  const char* kind() const override { return "read"; }
  Layout layout(size_t images, size_t element) const override;
  std::unique_ptr<Step> place(const Places& places) const override;
};

// A map that has been learned, the same for every image.
struct LearnedMap : Operator {
  Shape shape;
  std::vector<float> values;  // [C, H, W]

  const char* kind() const override { return "learned map"; }
  Layout layout(size_t, size_t) const override { return Layout::kGrouped; }
  std::unique_ptr<Step> place(const Places& places) const override;
};

// w̄ + ψ (w - w̄) of a wide vector w (Karras et al. 2019, appendix B).
struct Truncate : Operator {
  size_t truncation;  // tensor: ψ
  std::vector<float> mean;

  const char* kind() const override { return "truncation"; }
  bool in_place() const override { return true; }
  std::unique_ptr<Step> place(const Places& places) const override;
};

// Writes a map as floats [N, C · H · W], or parts of its numbers to several tensors.
struct Write : Operator {
  enum Function { kIdentity, kSigmoid, kSoftmax } function = kIdentity;
  struct Target {
    size_t output;  // tensor
    size_t first;   // number of a row
    size_t count;
  };
  std::vector<Target> targets;

  const char* kind() const override { return "write"; }
  size_t scratch(const Places& places) const override;
  std::unique_ptr<Step> place(const Places& places) const override;
};

}  // namespace zoo::native
