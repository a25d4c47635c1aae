#include "backends/native/operators/ends.h"

#include <algorithm>
#include <cmath>

namespace zoo::native {
namespace {

// Size limit in bytes, over all images of a group, for maps stored in group mode.
constexpr size_t kSmall = 64 * 1024;

class PlacedRead : public Step {
 public:
  PlacedRead(const Places& places, const Read& read)
      : kernels_(places.kernels.of(places.out.storage)), read_(read), out_(places.out) {}

  void run(const Run& run, size_t image, size_t count) const override {
    const Shape& shape = read_.shape;
    for (size_t n = image; n < image + count; ++n) {
      for (size_t block = 0; block < shape.blocks(); ++block) {
        for (size_t p = 0; p < shape.pixels(); ++p) {
          float values[kBlock] = {};
          fill(run, run.first + n, block * kBlock, p, values);
          kernels_.store(values, run.memory.at(out_, block, p / shape.width, p % shape.width, n));
        }
      }
    }
  }

 private:
  // Writes the 16 channels of a pixel, beginning with channel `first`.
  void fill(const Run& run, size_t row, size_t first, size_t pixel, float* values) const {
    const size_t pixels = read_.shape.pixels();
    size_t begin = 0;  // first channel of the part
    for (const Part& part : read_.parts) {
      const size_t from = std::max(begin, first);
      const size_t to = std::min(begin + part.channels, first + kBlock);
      const void* const data = run.inputs[part.input];
      for (size_t c = from; c < to; ++c) {
        float& value = values[c - first];
        const size_t own = c - begin;
        switch (part.kind) {
          case Part::kNumbers:
            value = static_cast<const float*>(
                data)[row * part.row + part.offset + own * pixels + pixel];
            break;
          case Part::kRepeated:
          case Part::kClass:
            value = part.of_image(run, row, own);
            break;
          case Part::kLevels: {
            const auto* const levels = static_cast<const uint8_t*>(data);
            const auto level =
                static_cast<float>(levels[(row * pixels + pixel) * part.channels + own]);
            value = level / part.scaling.divisor * part.scaling.factor + part.scaling.shift;
            break;
          }
        }
      }
      begin += part.channels;
    }
  }

  const Kernels& kernels_;
  const Read& read_;
  Place out_;
};

class PlacedLearnedMap : public Step {
 public:
  PlacedLearnedMap(const Places& places, const LearnedMap& map)
      : kernels_(places.kernels.of(places.out.storage)), map_(map), out_(places.out) {}

  void run(const Run& run, size_t image, size_t count) const override {
    const Shape& shape = map_.shape;
    for (size_t block = 0; block < shape.blocks(); ++block) {
      const size_t end = std::min(shape.channels, (block + 1) * kBlock);
      for (size_t p = 0; p < shape.pixels(); ++p) {
        float values[kBlock] = {};
        for (size_t c = block * kBlock; c < end; ++c) {
          values[c % kBlock] = map_.values[c * shape.pixels() + p];
        }
        for (size_t n = image; n < image + count; ++n) {
          kernels_.store(values, run.memory.at(out_, block, p / shape.width, p % shape.width, n));
        }
      }
    }
  }

 private:
  const Kernels& kernels_;
  const LearnedMap& map_;
  Place out_;
};

class PlacedTruncate : public Step {
 public:
  PlacedTruncate(const Places& places, const Truncate& truncate)
      : truncate_(truncate), in_(places.in.front()), out_(places.out) {}

  void run(const Run& run, size_t image, size_t count) const override {
    const float psi = *static_cast<const float*>(run.inputs[truncate_.truncation]);
    const std::vector<float>& mean = truncate_.mean;
    for (size_t n = image; n < image + count; ++n) {
      for (size_t block = 0; block < in_.shape.blocks(); ++block) {
        // Both maps are wide.
        const auto* const from = static_cast<const float*>(run.memory.at(in_, block, 0, 0, n));
        auto* const to = static_cast<float*>(run.memory.at(out_, block, 0, 0, n));
        const size_t first = block * kBlock;
        for (size_t c = first; c < std::min(mean.size(), first + kBlock); ++c) {
          to[c - first] = mean[c] + psi * (from[c - first] - mean[c]);
        }
      }
    }
  }

 private:
  const Truncate& truncate_;
  Place in_, out_;
};

class PlacedWrite : public Step {
 public:
  PlacedWrite(const Places& places, const Write& write)
      : kernels_(places.kernels.of(places.in.front().storage)),
        write_(write),
        in_(places.in.front()),
        scratch_(places.scratch) {}

  void run(const Run& run, size_t image, size_t count) const override {
    float* const numbers = run.memory.scratch + scratch_;
    const Shape& shape = in_.shape;
    const size_t size = shape.channels * shape.pixels();
    for (size_t n = image; n < image + count; ++n) {
      gather(run, n, numbers);
      if (write_.function == Write::kSigmoid) {
        kernels_.squash(Squash::kSigmoid, 1.0f, 0.0f, 1.0f, numbers, size);
      } else if (write_.function == Write::kSoftmax) {
        softmax(numbers, size);
      }
      for (const Write::Target& target : write_.targets) {
        auto* const out = static_cast<float*>(run.outputs[target.output]);
        if (!out) continue;
        std::copy_n(numbers + target.first, target.count, out + (run.first + n) * target.count);
      }
    }
  }

 private:
  void gather(const Run& run, size_t n, float* numbers) const {
    const Shape& shape = in_.shape;
    for (size_t block = 0; block < shape.blocks(); ++block) {
      const size_t channels = std::min(kBlock, shape.channels - block * kBlock);
      for (size_t p = 0; p < shape.pixels(); ++p) {
        float values[kBlock];
        kernels_.load(run.memory.at(in_, block, p / shape.width, p % shape.width, n), values);
        for (size_t c = 0; c < channels; ++c) {
          numbers[(block * kBlock + c) * shape.pixels() + p] = values[c];
        }
      }
    }
  }

  static void softmax(float* numbers, size_t size) {
    const float most = *std::max_element(numbers, numbers + size);
    double sum = 0.0;
    for (size_t i = 0; i < size; ++i) {
      numbers[i] = static_cast<float>(std::exp(static_cast<double>(numbers[i] - most)));
      sum += static_cast<double>(numbers[i]);
    }
    for (size_t i = 0; i < size; ++i) {
      numbers[i] = static_cast<float>(static_cast<double>(numbers[i]) / sum);
    }
  }

  const Kernels& kernels_;
  const Write& write_;
  Place in_;
  size_t scratch_;
};

}  // namespace

float Part::of_image(const Run& run, size_t image, size_t channel) const {
  if (kind == kRepeated) {
    return static_cast<const float*>(run.inputs[input])[image * channels + channel];
  }
  const int64_t label = static_cast<const int64_t*>(run.inputs[input])[image];
  return label == static_cast<int64_t>(channel) ? 1.0f : 0.0f;
}

Layout Read::layout(size_t images, size_t element) const {
  const bool small = make_place(shape, true, images, 0).size() * element <= kSmall;
  return small || shape.pixels() == 1 ? Layout::kGrouped : Layout::kApart;
}

std::unique_ptr<Step> Read::place(const Places& places) const {
  return std::make_unique<PlacedRead>(places, *this);
}

std::unique_ptr<Step> LearnedMap::place(const Places& places) const {
  return std::make_unique<PlacedLearnedMap>(places, *this);
}

std::unique_ptr<Step> Truncate::place(const Places& places) const {
  return std::make_unique<PlacedTruncate>(places, *this);
}

size_t Write::scratch(const Places& places) const {
  const Shape& shape = places.in.front().shape;
  return shape.channels * shape.pixels() + kBlock;
}

std::unique_ptr<Step> Write::place(const Places& places) const {
  return std::make_unique<PlacedWrite>(places, *this);
}

}  // namespace zoo::native
