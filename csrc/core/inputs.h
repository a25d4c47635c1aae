// Inputs of a graph beside latents and images: conditions, truncation, noise.
#pragma once

#include <cstdint>
#include <vector>

#include "core/engine.h"

namespace zoo {

// Inputs of one call, whose row r is sample first + r of the run with that seed, or that of its
// key.
struct GraphInputs {
  uint64_t seed = 0;
  uint64_t first = 0;
  const SampleKey* keys = nullptr;
  // Row r has the class labels[(begin + r) mod label_count]; with cycle, sample i has the class
  // labels[i mod label_count]; if null, i mod the number of classes.
  const int64_t* labels = nullptr;
  uint64_t label_count = 0;
  bool cycle = false;
  uint64_t begin = 0;  // rows of the request before this call
  // One row per sample, or one row for all if shared_attributes.
  const float* attributes = nullptr;
  bool shared_attributes = false;
  float truncation = 1.0f;
  float noise = 1.0f;  // scale of the layers' noise

  SampleKey key(uint64_t row) const { return keys ? keys[row] : SampleKey{seed, first + row}; }
};

// Calls call(begin, rows, key) for every longest series of rows among offset … offset + count - 1
// that have one seed and consecutive indices; it begins at row offset + begin, with this key.
template <typename Call>
void for_each_series(const GraphInputs& inputs, uint64_t offset, size_t count, const Call& call) {
  for (size_t begin = 0, end; begin < count; begin = end) {
    const SampleKey key = inputs.key(offset + begin);
    end = inputs.keys ? begin + 1 : count;
    while (end < count && inputs.keys[offset + end].seed == key.seed &&
           inputs.keys[offset + end].index == key.index + (end - begin)) {
      ++end;
    }
    call(begin, end - begin, key);
  }
}

// Returns true if all rows of a run must be of one series.
inline bool needs_series(const Backend& backend) {
  return backend.noise_from() != NoiseFrom::kCaller && !backend.takes_row_keys();
}

// Returns the inputs of a series of rows that begins at row `begin`, without keys.
GraphInputs inputs_of_series(const GraphInputs& inputs, uint64_t begin, const SampleKey& key);

// Returns the class of a row, of `classes` of them.
int64_t label_of_row(const GraphInputs& inputs, uint64_t classes, uint64_t row);

// Throws ArgumentError for keys beside a seed or first.
void set_keys(const SampleKey* keys, GraphInputs* inputs);

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
