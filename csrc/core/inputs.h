// What goes into a graph beside latents and images: conditions, truncation, noise.
#pragma once

#include <cstdint>
#include <vector>

#include "core/engine.h"

namespace zoo {

// Of a call; its row r is sample first + r of the run with that seed.
struct GraphInputs {
  uint64_t seed = 0;
  uint64_t first = 0;
  // Sample i has the class labels[(i - label_origin) mod label_count]; null: i mod K.
  const int64_t* labels = nullptr;
  uint64_t label_count = 0;
  uint64_t label_origin = 0;
  // One row a sample, or one for all.
  const float* attributes = nullptr;
  bool shared_attributes = false;
  float truncation = 1.0f;
  float noise = 1.0f;  // scale of the layers' noise
};

// Labels as a caller gives them: row r of a call of n rows has labels[r], or labels[0] where
// there is one; with cycle, sample i has labels[i mod count]. Throws ArgumentError for another
// count, for a class that the engine has not, and for labels where it has none.
void set_labels(const Engine& engine, const int64_t* labels, size_t count, bool cycle, uint64_t n,
                GraphInputs* inputs);

// Throw ArgumentError for a value below 0 or not finite, and where the engine has no such input.
void set_truncation(const Engine& engine, float truncation, GraphInputs* inputs);
void set_noise(const Engine& engine, float noise, GraphInputs* inputs);

// Binds them for rows offset … offset + count - 1 of the call in a run of `rows` rows; what is
// past the call has any valid value. The memory is the calling thread's, until its next call.
void bind_inputs(const Manifest& manifest, const Backend& backend, const GraphInputs& inputs,
                 uint64_t offset, size_t count, size_t rows, RunArguments* arguments);

}  // namespace zoo
