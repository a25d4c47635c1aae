// Conversion of float images to levels as in the graphs of engines: floor(x * 255 + 1/2), limited
// to 0 … 255.
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

// Neighbouring pixels that a thread of the CUDA kernel converts.
constexpr size_t kLevelPixels = 4;

struct LevelArguments {
  const float* images;  // [rows, channels, pixels]
  size_t rows;
  size_t channels;
  size_t pixels;    // height * width
  uint8_t* levels;  // [rows, pixels, channels]
};

ZOO_HD size_t level_threads(const LevelArguments& arguments) {
  return arguments.rows * ((arguments.pixels + kLevelPixels - 1) / kLevelPixels);
}

ZOO_HD void level_thread(const LevelArguments& arguments, size_t thread) {
  const size_t groups = (arguments.pixels + kLevelPixels - 1) / kLevelPixels;
  const size_t row = thread / groups;
  const size_t start = (thread - row * groups) * kLevelPixels;
  const float* from = arguments.images + row * arguments.channels * arguments.pixels;
  uint8_t* to = arguments.levels + row * arguments.channels * arguments.pixels;
  for (size_t pixel = start; pixel < start + kLevelPixels && pixel < arguments.pixels; ++pixel) {
    for (size_t channel = 0; channel < arguments.channels; ++channel) {
      to[pixel * arguments.channels + channel] =
          image_level(from[channel * arguments.pixels + pixel]);
    }
  }
}

}  // namespace zoo
