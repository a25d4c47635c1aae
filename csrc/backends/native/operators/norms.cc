#include "backends/native/operators/norms.h"

#include "backends/native/operators/pointwise.h"

namespace zoo::native {
namespace {

class PlacedPixelNorm : public Step {
 public:
  PlacedPixelNorm(const Places& places, const PixelNorm& norm)
      : kernels_(places.kernels.of(places.in.front().storage)),
        norm_(norm),
        in_(places.in.front()),
        out_(places.out) {}

  void run(const Run& run, size_t image, size_t count) const override {
    if (in_.offset != out_.offset) {
      combine_maps(kernels_, run.memory, in_, nullptr, out_, /*slope=*/1.0f, image, count);
    }
    const size_t slots = out_.shape.height * out_.row / kBlock;
    kernels_.pixel_norm(run.memory.at(out_, out_.grouped ? 0 : image * out_.image), out_.block,
                        out_.shape.blocks(), slots, norm_.share, norm_.epsilon);
  }

 private:
  const Kernels& kernels_;
  const PixelNorm& norm_;
  Place in_, out_;
};

class PlacedInstanceNorm : public Step {
 public:
  PlacedInstanceNorm(const Places& places, const InstanceNorm& norm)
      : kernels_(places.kernels.of(places.in.front().storage)), norm_(norm), places_(places.in) {
    places_.push_back(places.out);
  }

  void run(const Run& run, size_t image, size_t count) const override {
    const Place& in = places_.front();
    const Place& out = places_.back();
    const Shape& shape = norm_.shape;
    NormCall call{};
    call.in_row = in.row;
    call.in_column = in.column;
    call.out_row = out.row;
    call.out_column = out.column;
    call.height = shape.height;
    call.width = shape.width;
    call.noise_scale = 1.0f;
    if (norm_.noise_scale != kNone) {
      call.noise_scale = *static_cast<const float*>(run.inputs[norm_.noise_scale]);
    }
    call.slope = norm_.slope;
    call.end_slope = norm_.end_slope;
    call.epsilon = norm_.epsilon;
    for (size_t n = image; n < image + count; ++n) {
      if (norm_.noise != kNone) {
        call.noise =
            static_cast<const float*>(run.inputs[norm_.noise]) + (run.first + n) * shape.pixels();
      }
      for (size_t block = 0; block < shape.blocks(); ++block) {
        run_block(run, n, block, &call);
      }
    }
  }

 private:
  void run_block(const Run& run, size_t n, size_t block, NormCall* call) const {
    const auto at = [&](const Place& place, size_t number) {
      return run.memory.at(place, number, 0, 0, n);
    };
    const size_t channel = block * kBlock;
    call->in = at(places_.front(), block);
    call->out = at(places_.back(), block);
    call->blur = norm_.blur.empty() ? nullptr : norm_.blur.data() + 9 * channel;
    call->bias = norm_.bias.data() + channel;
    call->strength = norm_.strength.empty() ? nullptr : norm_.strength.data() + channel;
    if (places_.size() == 3) {
      const size_t blocks = norm_.shape.blocks();
      call->scale = static_cast<const float*>(at(places_[1], block));
      call->shift = static_cast<const float*>(at(places_[1], block + blocks));
    } else {
      call->scale = norm_.scale.data() + channel;
      call->shift = norm_.shift.data() + channel;
    }
    kernels_.instance_norm(*call);
  }

  const Kernels& kernels_;
  const InstanceNorm& norm_;
  std::vector<Place> places_;  // operands, then the result
};

}  // namespace

std::unique_ptr<Step> PixelNorm::place(const Places& places) const {
  return std::make_unique<PlacedPixelNorm>(places, *this);
}

InstanceNorm::InstanceNorm(const Shape& of)
    : shape(of), bias(of.padded(), 0.0f), scale(of.padded(), 0.0f), shift(of.padded(), 0.0f) {}

std::unique_ptr<Step> InstanceNorm::place(const Places& places) const {
  return std::make_unique<PlacedInstanceNorm>(places, *this);
}

}  // namespace zoo::native
