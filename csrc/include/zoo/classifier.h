// Classifier: images in, probabilities out. Thread-safe.
#pragma once

#include <string>

#include "zoo/loaded_engine.h"

namespace zoo {

class ZOO_API Classifier : public LoadedEngine {
 public:
  // Throws as Generator's constructor does.
  explicit Classifier(const std::string& path, const Options& options = {});

  // images: [n, H, W, C] uint8; scores: caller-owned [n, manifest().score_names.size()].
  void classify(const void* images, size_t n, float* scores, const Cancel& cancel = {},
                Memories memory = {}) const;
};

}  // namespace zoo
