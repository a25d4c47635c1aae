// From a network's last numbers to images.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "backends/native/kernels.h"
#include "backends/native/network.h"

namespace zoo::native {

// How an image that comes out contains the one that went in, bytes [H, W, channels] with values
// from 0 to 1 in steps of 1/255.
struct Original {
  enum Kind {
    kAdded,    // image = original + x
    kBlended,  // image = mask · original + (1 - mask) · x, the mask being its last channel
  } kind;
  size_t input;  // tensor
  size_t channels;
};

// Beyond all numbers of a network: the bounds of what is not clipped.
constexpr float kHuge = 3.4e38f;

// image = clip(original with squash(scale · x), low, high), as bytes if `levels`.
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

// Finishes rows of images [C, H, W]. Every `phases`th pixel of a row is together, the images of a
// group innermost.
class RowFinisher {
 public:
  RowFinisher(const Kernels& floats, const Finish& finish, const Shape& shape, size_t phases,
              size_t images)
      : kernels_(floats), finish_(finish), shape_(shape), phases_(phases), images_(images) {}

  size_t columns(size_t phase) const { return (shape_.width - phase + phases_ - 1) / phases_; }
  size_t values(size_t phase) const { return columns(phase) * images_; }

  // The numbers of a phase, columns times images, of images image … image + count - 1 of the run;
  // they are overwritten. `levels` has room for as many.
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
