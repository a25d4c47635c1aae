// Translator: images in, images out (denoised, filled in, coloured). Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "zoo/export.h"
#include "zoo/manifest.h"
#include "zoo/options.h"

namespace zoo {

class Engine;

class ZOO_API Translator {
 public:
  // Throws as Generator's constructor does.
  explicit Translator(const std::string& path, const Options& options = {});

  const Manifest& manifest() const;
  const std::string& backend() const;
  size_t instances() const;

  // images: [n, H, W, C] uint8 of the format manifest().input, the mask of manifest().alpha
  // included; translated: caller-owned, n * manifest().image.bytes() bytes, uint8 too.
  void translate(const void* images, size_t n, void* translated, const Cancel& cancel = {}) const;

 private:
  std::shared_ptr<Engine> engine_;
};

}  // namespace zoo
