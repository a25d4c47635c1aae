#include "backends/native/operators/finish.h"

#include <algorithm>
#include <array>

namespace zoo::native {
namespace {

// Returns a table of level / 255 for all levels.
const std::array<float, 256>& unit_levels() {
  static const std::array<float, 256> table = [] {
    std::array<float, 256> values{};
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) / 255.0f;
    return values;
  }();
  return table;
}

}  // namespace

void RowFinisher::run(const Run& run, size_t image, size_t count, size_t channel, size_t y,
                      size_t phase, float* row, uint8_t* levels) const {
  const Original* const original = finish_.original.empty() ? nullptr : finish_.original.data();
  const size_t numbers = values(phase);
  // If there is an original, the values are clipped after they are combined with it.
  kernels_.squash(finish_.squash, finish_.scale, original ? -kHuge : finish_.low,
                  original ? kHuge : finish_.high, row, numbers);
  if (original) compose(run, *original, image, count, channel, y, phase, row);
  auto* const out =
      static_cast<uint8_t*>(run.outputs[0]) + (run.first + image) * image_bytes(shape_, finish_);
  if (finish_.levels) {
    kernels_.to_levels(row, numbers, levels);
    spread(levels, channel, y, phase, count, out);
  } else {
    spread(row, channel, y, phase, count, reinterpret_cast<float*>(out));
  }
}

// Combines rows of the input images with the computed rows.
void RowFinisher::compose(const Run& run, const Original& how, size_t image, size_t count,
                          size_t channel, size_t y, size_t phase, float* row) const {
  const auto& unit = unit_levels();
  const auto* const originals = static_cast<const uint8_t*>(run.inputs[how.input]);
  for (size_t n = 0; n < count; ++n) {
    const size_t first = ((run.first + image + n) * shape_.height + y) * shape_.width;
    for (size_t x = 0; x < columns(phase); ++x) {
      const uint8_t* const pixel = originals + (first + x * phases_ + phase) * how.channels;
      float& value = row[x * images_ + n];
      const float given = unit[pixel[channel]];
      if (how.kind == Original::kAdded) {
        value = given + value;
      } else {
        const float mask = unit[pixel[how.channels - 1]];
        value = mask * given + (1.0f - mask) * value;
      }
      value = std::min(std::max(value, finish_.low), finish_.high);
    }
  }
}

template <typename T>
void RowFinisher::spread(const T* row, size_t channel, size_t y, size_t phase, size_t count,
                         T* out) const {
  const bool bytes = sizeof(T) == 1;
  const size_t step = bytes ? shape_.channels : 1;
  const size_t first =
      bytes ? y * shape_.width * step + channel : channel * shape_.pixels() + y * shape_.width;
  const size_t count_x = this->columns(phase);
  // Pointers and local strides, because bytes may alias the members.
  const size_t apart = phases_ * step, images = images_;
  for (size_t n = 0; n < count; ++n) {
    T* to = out + n * shape_.channels * shape_.pixels() + first + phase * step;
    const T* from = row + n;
    for (size_t x = 0; x < count_x; ++x) {
      *to = *from;
      to += apart;
      from += images;
    }
  }
}

}  // namespace zoo::native
