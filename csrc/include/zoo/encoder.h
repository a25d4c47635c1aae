// Encoder: images in, mean and log-variance of the latent out. Thread-safe.
#pragma once

#include <string>

#include "zoo/loaded_engine.h"

namespace zoo {

class ZOO_API Encoder : public LoadedEngine {
 public:
  // Throws as Generator's constructor does.
  explicit Encoder(const std::string& path, const Options& options = {});

  // Returns true if the posterior is deterministic, that is, if logvar is always -infinity.
  bool deterministic() const;

  // images: [n, H, W, C] uint8; mu, logvar: caller-owned [n, latent_width]; logvar may be null.
  void encode(const void* images, size_t n, float* mu, float* logvar, const Cancel& cancel = {},
              Memories memory = {}) const;
};

}  // namespace zoo
