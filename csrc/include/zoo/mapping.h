// Mapping: latents in, styles out: the first half of a style-based generator. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "zoo/export.h"
#include "zoo/manifest.h"
#include "zoo/options.h"

namespace zoo {

class Engine;

class ZOO_API Mapping {
 public:
  // Throws as Generator's constructor does.
  explicit Mapping(const std::string& path, const Options& options = {});

  const Manifest& manifest() const;
  const std::string& backend() const;
  size_t instances() const;
  std::string device() const;          // "cpu" or "cuda:N"
  uint64_t peak_device_bytes() const;  // of the GPU's memory

  // W, the number of values of a style.
  size_t style_width() const { return manifest().style_mean.size(); }

  // latents: [n, latent_width], finite; styles: caller-owned [n, style_width()].
  void map(const float* latents, size_t n, float* styles, const Cancel& cancel = {},
           Memories memory = {}) const;

 private:
  std::shared_ptr<Engine> engine_;
};

}  // namespace zoo
