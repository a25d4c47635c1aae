#include "backends/native/operators/pointwise.h"

#include <algorithm>

namespace zoo::native {
namespace {

class PlacedCombine : public Step {
 public:
  PlacedCombine(const Places& places, float slope)
      : kernels_(places.kernels.of(places.in.front().storage)),
        in_(places.in),
        out_(places.out),
        slope_(slope) {}

  void run(const Run& run, size_t image, size_t count) const override {
    combine_maps(kernels_, run.memory, in_.front(), in_.size() == 2 ? &in_.back() : nullptr, out_,
                 slope_, image, count);
  }

 private:
  const Kernels& kernels_;
  std::vector<Place> in_;
  Place out_;
  float slope_;
};

class PlacedDropout : public Step {
 public:
  PlacedDropout(const Places& places, const Dropout& dropout)
      : kernels_(places.kernels.of(places.in.front().storage)),
        dropout_(dropout),
        in_(places.in.front()),
        out_(places.out) {}

  void run(const Run& run, size_t image, size_t count) const override {
    const Shape& shape = out_.shape;
    const size_t pixels = shape.pixels();
    for (size_t n = image; n < image + count; ++n) {
      const float* const drawn = dropout_.noise.of(run, n);
      for (size_t block = 0; block < shape.blocks(); ++block) {
        const size_t channels = std::min(kBlock, shape.channels - block * kBlock);
        for (size_t p = 0; p < pixels; ++p) {
          const size_t y = p / shape.width, x = p % shape.width;
          float values[kBlock];
          kernels_.load(run.memory.at(in_, block, y, x, n), values);
          for (size_t c = 0; c < channels; ++c) {
            const bool kept = drawn[(block * kBlock + c) * pixels + p] > dropout_.threshold;
            values[c] = kept ? values[c] * dropout_.factor : 0.0f;
          }
          kernels_.store(values, run.memory.at(out_, block, y, x, n));
        }
      }
    }
  }

 private:
  const Kernels& kernels_;
  const Dropout& dropout_;
  Place in_, out_;
};

}  // namespace

void combine_maps(const Kernels& kernels, const Memory& memory, const Place& a, const Place* b,
                  const Place& out, float slope, size_t image, size_t count) {
  CombineCall call{};
  call.slope = slope;
  call.count = out.shape.width;
  call.a_step = a.column;
  call.b_step = b ? b->column : 0;
  call.out_step = out.column;
  for (size_t block = 0; block < out.shape.blocks(); ++block) {
    for (size_t y = 0; y < out.shape.height; ++y) {
      for (size_t n = image; n < image + count; ++n) {
        call.a = memory.at(a, block, y, 0, n);
        call.b = b ? memory.at(*b, block, y, 0, n) : nullptr;
        call.out = memory.at(out, block, y, 0, n);
        kernels.combine(call);
      }
    }
  }
}

std::unique_ptr<Step> Combine::place(const Places& places) const {
  return std::make_unique<PlacedCombine>(places, slope);
}

std::unique_ptr<Step> Dropout::place(const Places& places) const {
  return std::make_unique<PlacedDropout>(places, *this);
}

}  // namespace zoo::native
