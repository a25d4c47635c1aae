// Translator: images in, images out (denoised, filled in, coloured). Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "zoo/loaded_engine.h"

namespace zoo {

// What to make of which images.
struct TranslateRequest {
  const void* images = nullptr;  // [n, H, W, C] uint8 of the format manifest().input
  size_t n = 1;

  // Where manifest().condition_names is not empty: a value for each of them, 0 or 1 in training,
  // n rows, or one row for all when shared is true. Else null.
  const float* attributes = nullptr;
  bool shared = false;

  // Where manifest().layer_noise is not empty: image r has the noise of sample first + r.
  uint64_t seed = 0;
  uint64_t first = 0;

  Memories memory;  // of images, and of what is made of them; the attributes are the host's
};

class ZOO_API Translator : public LoadedEngine {
 public:
  // Throws as Generator's constructor does.
  explicit Translator(const std::string& path, const Options& options = {});

  // translated: caller-owned, n * manifest().image.bytes() bytes, uint8. Throws ArgumentError
  // for attributes that are missing, not finite, or not asked for.
  void translate(const TranslateRequest& request, void* translated,
                 const Cancel& cancel = {}) const;

  // images: [n, H, W, C] uint8 of the format manifest().input, the mask of manifest().alpha
  // included; seed 0.
  void translate(const void* images, size_t n, void* translated, const Cancel& cancel = {}) const;
};

}  // namespace zoo
