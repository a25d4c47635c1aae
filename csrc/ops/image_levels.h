// Float images to levels: floor(x * 255 + 1/2), as the engines' graphs have it, kept in 0 … 255.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "ops/hd.h"
#include "zoo/export.h"

namespace zoo {

// NaN gives 0.
ZOO_HD uint8_t image_level(float value) {
  const float level = std::floor(value * 255.0f + 0.5f);
  return static_cast<uint8_t>(level > 0.0f ? (level < 255.0f ? level : 255.0f) : 0.0f);
}

// Pixels of one thread of the CUDA kernel, which are neighbours in a channel.
constexpr size_t kLevelPixels = 4;

struct LevelArguments {
  const float* images;  // [rows, channels, pixels]
  size_t rows;
  size_t channels;
  size_t pixels;    // height * width
  uint8_t* levels;  // [rows, pixels, channels]
};

ZOO_HD size_t level_threads(const LevelArguments& given) {
  return given.rows * ((given.pixels + kLevelPixels - 1) / kLevelPixels);
}

ZOO_HD void level_thread(const LevelArguments& given, size_t thread) {
  const size_t groups = (given.pixels + kLevelPixels - 1) / kLevelPixels;
  const size_t row = thread / groups;
  const size_t start = (thread - row * groups) * kLevelPixels;
  const float* from = given.images + row * given.channels * given.pixels;
  uint8_t* to = given.levels + row * given.channels * given.pixels;
  for (size_t pixel = start; pixel < start + kLevelPixels && pixel < given.pixels; ++pixel) {
    for (size_t channel = 0; channel < given.channels; ++channel) {
      to[pixel * given.channels + channel] = image_level(from[channel * given.pixels + pixel]);
    }
  }
}

}  // namespace zoo
