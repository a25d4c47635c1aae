// Inputs of a graph beside latents and images: conditions, truncation, noise.
#pragma once

#include <cstdint>
#include <vector>

#include "core/engine.h"

namespace zoo {

// Inputs of one call, whose row r is sample first + r of the run with that seed.
struct GraphInputs {
  uint64_t seed = 0;
  uint64_t first = 0;
  // Sample i has the class labels[(i - label_origin) mod label_count], or i mod the number of
  // classes if null.
  const int64_t* labels = nullptr;
  uint64_t label_count = 0;
  uint64_t label_origin = 0;
  // One row per sample, or one row for all if shared_attributes.
  const float* attributes = nullptr;
  bool shared_attributes = false;
  float truncation = 1.0f;
  float noise = 1.0f;  // scale of the layers' noise
};

// Sets the labels of a call of n rows: row r has labels[r], or labels[0] if count is 1; with cycle,
// sample i has labels[i mod count]. Throws ArgumentError for a wrong count or an unknown class, and
// for labels of an engine without classes.
void set_labels(const Engine& engine, const int64_t* labels, size_t count, bool cycle, uint64_t n,
                GraphInputs* inputs);

// Throw ArgumentError if the value is negative or not finite, or is not 1 for an engine without
// this input.
void set_truncation(const Engine& engine, float truncation, GraphInputs* inputs);
void set_noise(const Engine& engine, float noise, GraphInputs* inputs);

// Binds the inputs of rows offset … offset + count - 1 of the call for a run of `rows` rows; the
// rows of padding have any valid value. The memory belongs to the calling thread, until its next
// call.
void bind_inputs(const Manifest& manifest, const Backend& backend, const GraphInputs& inputs,
                 uint64_t offset, size_t count, size_t rows, RunArguments* arguments);

}  // namespace zoo
