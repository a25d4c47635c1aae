// Mapping: latents in, styles out, the first half of a style-based generator. Thread-safe.
#pragma once

#include <string>

#include "zoo/loaded_engine.h"

namespace zoo {

class ZOO_API Mapping : public LoadedEngine {
 public:
  // Throws as Generator's constructor does.
  explicit Mapping(const std::string& path, const Options& options = {});

  // Number of values of a style.
  size_t style_width() const { return manifest().style_mean.size(); }

  // latents: [n, latent_width], finite; styles: caller-owned [n, style_width()].
  void map(const float* latents, size_t n, float* styles, const Cancel& cancel = {},
           Memories memory = {}) const;
};

}  // namespace zoo
