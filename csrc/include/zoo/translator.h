// Translator: images in, images out (denoised, filled in, coloured). Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "zoo/export.h"
#include "zoo/manifest.h"
#include "zoo/options.h"

namespace zoo {

class Engine;

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

class ZOO_API Translator {
 public:
  // Throws as Generator's constructor does.
  explicit Translator(const std::string& path, const Options& options = {});

  const Manifest& manifest() const;
  const std::string& backend() const;
  size_t instances() const;
  std::string device() const;          // "cpu" or "cuda:N"
  uint64_t peak_device_bytes() const;  // of the GPU's memory

  // translated: caller-owned, n * manifest().image.bytes() bytes, uint8. Throws ArgumentError
  // for attributes that are missing, not finite, or not asked for.
  void translate(const TranslateRequest& request, void* translated,
                 const Cancel& cancel = {}) const;

  // images: [n, H, W, C] uint8 of the format manifest().input, the mask of manifest().alpha
  // included; seed 0.
  void translate(const void* images, size_t n, void* translated, const Cancel& cancel = {}) const;

 private:
  std::shared_ptr<Engine> engine_;
};

}  // namespace zoo
