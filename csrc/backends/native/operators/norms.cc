#include "backends/native/operators/norms.h"

#include "backends/native/operators/pointwise.h"

namespace zoo::native {
namespace {

// Operations of a product that take as long as normalising a value, to decide what is worth
// splitting.
constexpr double kCost = 64.0;

class PlacedPixelNorm : public Step {
 public:
  PlacedPixelNorm(const Places& places, const PixelNorm& norm)
      : kernels_(places.kernels.of(places.in.front().storage)),
        norm_(norm),
        in_(places.in.front()),
        out_(places.out),
        parts_(1) {
    if (in_.offset != out_.offset) return;
    parts_ = places.parts(slots(), kCost * static_cast<double>(slots() * out_.shape.padded()));
  }

  size_t parts() const override { return parts_; }

  void run(const Run& run, size_t image, size_t count) const override {
    if (in_.offset != out_.offset) {
      combine_maps(kernels_, run.memory, in_, nullptr, out_, /*slope=*/1.0f, image, count);
    }
    normalize(run, out_.grouped ? 0 : image, {0, slots()});
  }

  void run_part(const Run& run, size_t image, size_t part) const override {
    normalize(run, image, part_of(slots(), parts_, part));
  }

 private:
  // Includes the padding.
  size_t slots() const { return out_.shape.height * out_.row / kBlock; }

  void normalize(const Run& run, size_t image, const Range& range) const {
    kernels_.pixel_norm(run.memory.at(out_, image * out_.image + range.first * kBlock), out_.block,
                        out_.shape.blocks(), range.last - range.first, norm_.share, norm_.epsilon);
  }

  const Kernels& kernels_;
  const PixelNorm& norm_;
  Place in_, out_;
  size_t parts_;
};

class PlacedInstanceNorm : public Step {
 public:
  PlacedInstanceNorm(const Places& places, const InstanceNorm& norm)
      : kernels_(places.kernels.of(places.in.front().storage)), norm_(norm), places_(places.in) {
    places_.push_back(places.out);
    const Shape& shape = norm.shape;
    const auto values = static_cast<double>(shape.pixels() * shape.padded());
    parts_ = places.parts(shape.blocks(), kCost * values);
  }

  size_t parts() const override { return parts_; }

  void run(const Run& run, size_t image, size_t count) const override {
    run_blocks(run, image, count, {0, norm_.shape.blocks()});
  }

  void run_part(const Run& run, size_t image, size_t part) const override {
    run_blocks(run, image, 1, part_of(norm_.shape.blocks(), parts_, part));
  }

 private:
  void run_blocks(const Run& run, size_t image, size_t count, const Range& blocks) const {
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
    if (norm_.noise.scale != kNone) {
      call.noise_scale = *static_cast<const float*>(run.inputs[norm_.noise.scale]);
    }
    call.slope = norm_.slope;
    call.end_slope = norm_.end_slope;
    call.epsilon = norm_.epsilon;
    for (size_t n = image; n < image + count; ++n) {
      if (norm_.noise.tensor != kNone) call.noise = norm_.noise.of(run, n);
      for (size_t block = blocks.first; block < blocks.last; ++block) {
        run_block(run, n, block, &call);
      }
    }
  }

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
  size_t parts_;
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
