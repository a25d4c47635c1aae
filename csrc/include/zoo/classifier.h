// Classifier: images in, probabilities out. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "zoo/export.h"
#include "zoo/manifest.h"
#include "zoo/options.h"

namespace zoo {

class Engine;

class ZOO_API Classifier {
 public:
  // Throws as Generator's constructor does.
  explicit Classifier(const std::string& path, const Options& options = {});

  const Manifest& manifest() const;
  const std::string& backend() const;
  size_t instances() const;
  std::string device() const;          // "cpu" or "cuda:N"
  uint64_t peak_device_bytes() const;  // of the GPU's memory

  // images: [n, H, W, C] uint8; scores: caller-owned [n, manifest().score_names.size()].
  void classify(const void* images, size_t n, float* scores, const Cancel& cancel = {},
                Memories memory = {}) const;

 private:
  std::shared_ptr<Engine> engine_;
};

}  // namespace zoo
