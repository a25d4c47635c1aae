#include "backends/native/operators/dense_image.h"

#include <algorithm>

namespace zoo::native {
namespace {

class PlacedDenseImage : public Step {
 public:
  PlacedDenseImage(const Places& places, const DenseImage& layer)
      : kernels_(places.kernels.of(places.in.front().storage)),
        layer_(layer),
        in_(places.in.front()),
        scratch_(places.scratch) {}

  void run(const Run& run, size_t image, size_t count) const override {
    float* const numbers = run.memory.scratch + scratch_;
    const size_t pixels = layer_.image.pixels(), channels = layer_.image.channels;
    const size_t size = channels * pixels;
    const Finish& f = layer_.finish;
    auto* const levels = reinterpret_cast<uint8_t*>(numbers + rounded_up(size, kBlock));
    for (size_t n = image; n < image + count; ++n) {
      for (size_t block = 0; block < in_.shape.blocks(); ++block) {
        kernels_.load(run.memory.at(in_, block, 0, 0, n), numbers + block * kBlock);
      }
      kernels_.squash(f.squash, f.scale, f.low, f.high, numbers, size);
      auto* const out =
          static_cast<uint8_t*>(run.outputs[0]) + (run.first + n) * image_bytes(layer_.image, f);
      if (!f.levels) {
        std::copy_n(numbers, size, reinterpret_cast<float*>(out));
        continue;
      }
      kernels_.to_levels(numbers, size, levels);
      for (size_t c = 0; c < channels; ++c) {
        for (size_t p = 0; p < pixels; ++p) out[p * channels + c] = levels[c * pixels + p];
      }
    }
  }

 private:
  const Kernels& kernels_;
  const DenseImage& layer_;
  Place in_;
  size_t scratch_;
};

}  // namespace

size_t DenseImage::scratch(const Places&) const {
  return 2 * rounded_up(image.channels * image.pixels(), kBlock);
}

std::unique_ptr<Step> DenseImage::place(const Places& places) const {
  return std::make_unique<PlacedDenseImage>(places, *this);
}

}  // namespace zoo::native
