// Conversion of the values of the last layer to images.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "backends/native/kernels.h"
#include "backends/native/network.h"

namespace zoo::native {

// Combination of the output image with the input image ("original"), which is given as bytes
// [H, W, channels] and used as levels / 255.
struct Original {
  enum Kind {
    kAdded,    // image = original + x
    kBlended,  // image = mask · original + (1 - mask) · x; the mask is the original's last channel
  } kind;
  size_t input;  // tensor
  size_t channels;
};

// Larger than any value of a network: -kHuge and kHuge as bounds disable clipping.
constexpr float kHuge = 3.4e38f;

// Steps from the values x of the last layer to an image: clip(squash(x), low, high), where the
// output function includes `scale`. An original is combined with squash(x) before the clipping.
struct Finish {
  Squash squash = Squash::kNone;
  float scale = 1.0f;
  float low = 0.0f;
  float high = 1.0f;
  bool levels = true;                   // bytes [N, H, W, C]; else floats [N, C, H, W]
  std::vector<Original> original = {};  // none or one
};

inline size_t image_bytes(const Shape& shape, const Finish& finish) {
  return shape.channels * shape.pixels() * (finish.levels ? 1 : sizeof(float));
}

// Converts rows of images [C, H, W]. A row is processed in phases: phase p holds the pixels p,
// p + phases, p + 2 · phases, …, stored contiguously with the images of a group innermost.
class RowFinisher {
 public:
  RowFinisher(const Kernels& floats, const Finish& finish, const Shape& shape, size_t phases,
              size_t images)
      : kernels_(floats), finish_(finish), shape_(shape), phases_(phases), images_(images) {}

  size_t columns(size_t phase) const { return (shape_.width - phase + phases_ - 1) / phases_; }
  size_t values(size_t phase) const { return columns(phase) * images_; }

  // Converts one phase of row `y` of a channel and writes it to images image … image + count - 1 of
  // the run. `row` holds values(phase) values and is overwritten; `levels` is scratch memory for as
  // many bytes.
  void run(const Run& run, size_t image, size_t count, size_t channel, size_t y, size_t phase,
           float* row, uint8_t* levels) const;

 private:
  void compose(const Run& run, const Original& how, size_t image, size_t count, size_t channel,
               size_t y, size_t phase, float* row) const;
  template <typename T>
  void spread(const T* row, size_t channel, size_t y, size_t phase, size_t count, T* out) const;

  const Kernels& kernels_;
  const Finish& finish_;
  Shape shape_;
  size_t phases_;
  size_t images_;
};

}  // namespace zoo::native
