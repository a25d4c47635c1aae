// Translator: images in, images out (denoised, filled in, coloured). Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "zoo/loaded_engine.h"

namespace zoo {

struct TranslateRequest {
  const void* images = nullptr;  // [n, H, W, C] uint8 in the format manifest().input
  size_t n = 1;

  // Values of manifest().condition_names, 0 or 1 in training: n rows, or one row for all images if
  // shared. Null if the engine has no conditions.
  const float* attributes = nullptr;
  bool shared = false;

  // With manifest().layer_noise, image r has the noise of sample first + r of this seed.
  uint64_t seed = 0;
  uint64_t first = 0;

  Memories memory;  // of the images; attributes are in host memory

  const SampleKey* keys = nullptr;  // n of them, in place of seed and first, which must then be 0
};

class ZOO_API Translator : public LoadedEngine {
 public:
  // Throws as Generator's constructor does.
  explicit Translator(const std::string& path, const Options& options = {});

  // translated: caller-owned, n * manifest().image.bytes() bytes, uint8. Throws ArgumentError if
  // attributes are missing, not finite, or not expected.
  void translate(const TranslateRequest& request, void* translated,
                 const Cancel& cancel = {}) const;

  // Translates images without attributes, with seed 0.
  void translate(const void* images, size_t n, void* translated, const Cancel& cancel = {}) const;
};

}  // namespace zoo
