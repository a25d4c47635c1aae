// Encoder: images in, mean and log-variance of the latent out. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "zoo/export.h"
#include "zoo/manifest.h"
#include "zoo/options.h"

namespace zoo {

class Engine;

class ZOO_API Encoder {
 public:
  // Throws as Generator's constructor does.
  explicit Encoder(const std::string& path, const Options& options = {});

  const Manifest& manifest() const;
  const std::string& backend() const;
  size_t instances() const;
  std::string device() const;          // "cpu" or "cuda:N"
  uint64_t peak_device_bytes() const;  // of the GPU's memory

  // True where the file's posterior is: its logvar is -infinity everywhere.
  bool deterministic() const;

  // images: [n, H, W, C] uint8; mu, logvar: caller-owned [n, latent_width]; logvar may be
  // null where it is not wanted.
  void encode(const void* images, size_t n, float* mu, float* logvar, const Cancel& cancel = {},
              Memories memory = {}) const;

 private:
  std::shared_ptr<Engine> engine_;
};

}  // namespace zoo
