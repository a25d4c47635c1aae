// Image output of networks whose last layer is dense.
#pragma once

#include <memory>

#include "backends/native/network.h"
#include "backends/native/operators/finish.h"

namespace zoo::native {

// Converts a wide vector of C · H · W values, the result of a dense last layer, to an image
// [C, H, W]. Writes the first output of the network.
struct DenseImage : Operator {
  Shape image;
  Finish finish;

  DenseImage(const Shape& shape, const Finish& end) : image(shape), finish(end) {}
  const char* kind() const override { return "image"; }
  size_t scratch(const Places& places) const override;
  std::unique_ptr<Step> place(const Places& places) const override;
};

}  // namespace zoo::native
