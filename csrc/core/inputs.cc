#include "core/inputs.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/thread_memory.h"
#include "format/tensors.h"
#include "ops/reparametrized_sample.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

struct Scratch {
  std::vector<uint64_t> keys;
  float truncation;
  float noise;
  float mixture;
  std::vector<int64_t> labels;
  std::vector<float> attributes;
  std::vector<std::vector<float>> layers;
};

Scratch& scratch() { return thread_memory<Scratch>(); }

void check_scale(const char* name, float value, bool is_input, const std::string& path) {
  if (!std::isfinite(value) || value < 0.0f) {
    throw ArgumentError(std::string(name) + ": expected a finite number of at least 0, got " +
                        std::to_string(value));
  }
  if (is_input || value == 1.0f) return;
  throw ArgumentError(std::string(name) + ": '" + path + "' has no such input, expected 1, got " +
                      std::to_string(value));
}

void bind_labels(const GraphInputs& inputs, uint64_t classes, uint64_t offset, size_t count,
                 size_t rows, RunArguments* arguments) {
  std::vector<int64_t>& labels = scratch().labels;
  labels.assign(rows, 0);
  for (size_t row = 0; row < count; ++row) {
    labels[row] = label_of_row(inputs, classes, offset + row);
  }
  arguments->inputs.push_back({io::kLabel, labels.data()});
}

void bind_attributes(const GraphInputs& inputs, size_t width, uint64_t offset, size_t count,
                     size_t rows, RunArguments* arguments) {
  std::vector<float>& attributes = scratch().attributes;
  attributes.resize(rows * width);
  for (size_t row = 0; row < rows; ++row) {
    const uint64_t from = inputs.shared_attributes ? 0 : offset + std::min(row, count - 1);
    std::memcpy(attributes.data() + row * width, inputs.attributes + from * width,
                width * sizeof(float));
  }
  arguments->inputs.push_back({io::kAttributes, attributes.data()});
}

// Draws the noise of the layers, for a backend that does not draw it itself.
void bind_layers(const Manifest& manifest, const GraphInputs& inputs, uint64_t offset, size_t count,
                 size_t rows, RunArguments* arguments) {
  std::vector<std::vector<float>>& layers = scratch().layers;
  if (layers.size() < manifest.layer_noise.size()) layers.resize(manifest.layer_noise.size());
  for (size_t i = 0; i < manifest.layer_noise.size(); ++i) {
    const LayerNoise& layer = manifest.layer_noise[i];
    layers[i].assign(rows * layer.width, 0.0f);
    if (inputs.noise != 0.0f) {
      for_each_series(inputs, offset, count, [&](size_t begin, size_t series, SampleKey key) {
        fill_normal({key.seed, key.index, layer.stream}, series, layer.width,
                    layers[i].data() + begin * layer.width);
      });
    }
    arguments->inputs.push_back({io::layer_noise(layer.stream), layers[i].data()});
  }
}

}  // namespace

void set_labels(const Engine& engine, const int64_t* labels, size_t count, bool cycle, uint64_t n,
                GraphInputs* inputs) {
  if (!labels) return;
  const Manifest& manifest = engine.manifest();
  const auto classes = static_cast<int64_t>(manifest.condition_classes);
  if (classes == 0) {
    throw ArgumentError("labels: expected none, because '" + engine.path() +
                        "' is not conditional on classes");
  }
  if (count == 0 || (!cycle && count != 1 && count != n)) {
    throw ArgumentError("labels: expected 1 or n = " + std::to_string(n) + ", got " +
                        std::to_string(count));
  }
  for (size_t i = 0; i < count; ++i) {
    if (labels[i] >= 0 && labels[i] < classes) continue;
    throw ArgumentError("labels: expected " + manifest.class_range() + ", got " +
                        std::to_string(labels[i]));
  }
  inputs->labels = labels;
  inputs->label_count = count;
  inputs->cycle = cycle;
}

int64_t label_of_row(const GraphInputs& inputs, uint64_t classes, uint64_t row) {
  const uint64_t sample = inputs.key(row).index;
  if (!inputs.labels) return static_cast<int64_t>(sample % classes);
  return inputs.labels[(inputs.cycle ? sample : inputs.begin + row) % inputs.label_count];
}

GraphInputs inputs_of_series(const GraphInputs& inputs, uint64_t begin, const SampleKey& key) {
  GraphInputs series = inputs;
  series.keys = nullptr;
  series.seed = key.seed;
  series.first = key.index - begin;
  return series;
}

void set_keys(const SampleKey* keys, GraphInputs* inputs) {
  if (keys && (inputs->seed != 0 || inputs->first != 0)) {
    throw ArgumentError("keys: expected none beside seed or first");
  }
  inputs->keys = keys;
}

void set_truncation(const Engine& engine, float truncation, GraphInputs* inputs) {
  check_scale("truncation", truncation, truncates(engine.manifest()), engine.path());
  inputs->truncation = truncation;
}

void set_noise(const Engine& engine, float noise, GraphInputs* inputs) {
  check_scale("noise", noise, scales_noise(engine.manifest()), engine.path());
  inputs->noise = noise;
}

void bind_inputs(const Manifest& manifest, const Backend& backend, const GraphInputs& inputs,
                 uint64_t offset, size_t count, size_t rows, RunArguments* arguments) {
  Scratch& s = scratch();
  if (manifest.condition_classes != 0) {
    bind_labels(inputs, manifest.condition_classes, offset, count, rows, arguments);
  }
  if (!manifest.condition_names.empty()) {
    bind_attributes(inputs, manifest.condition_names.size(), offset, count, rows, arguments);
  }
  if (truncates(manifest)) {
    s.truncation = inputs.truncation;
    arguments->inputs.push_back({io::kTruncation, &s.truncation});
  }
  if (scales_noise(manifest)) {
    s.noise = inputs.noise;
    arguments->inputs.push_back({io::kNoise, &s.noise});
  }
  if (backend.noise_from() == NoiseFrom::kCaller) {
    bind_layers(manifest, inputs, offset, count, rows, arguments);
    return;
  }
  if (has_mixture_input(manifest)) {
    // Latents of the learned prior are given.
    s.mixture = 0.0f;
    arguments->inputs.push_back({io::kMixture, &s.mixture});
  }
  arguments->keys = inputs.keys ? rows : 1;
  s.keys.resize(2 * arguments->keys);
  for (size_t row = 0; row < arguments->keys; ++row) {
    const SampleKey key = inputs.key(offset + std::min(row, count - 1));
    s.keys[row] = key.seed;
    s.keys[arguments->keys + row] = key.index;
  }
  arguments->inputs.push_back({io::kSeed, s.keys.data()});
  arguments->inputs.push_back({io::kFirst, s.keys.data() + arguments->keys});
}

}  // namespace zoo
