// Types and shapes of the inputs and outputs of graphs, by their names and the manifest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "format/io_names.h"
#include "format/roles.h"
#include "zoo/export.h"
#include "zoo/manifest.h"

namespace zoo {

enum class TensorType { kFloat32, kUint8, kInt64 };

struct TensorInfo {
  TensorType type;
  std::vector<int64_t> shape;

  size_t bytes() const {
    size_t count = type == TensorType::kFloat32 ? 4 : type == TensorType::kInt64 ? 8 : 1;
    for (const int64_t size : shape) count *= static_cast<size_t>(size);
    return count;
  }
};

inline TensorInfo image_info(const ImageFormat& format, int64_t rows) {
  const auto h = static_cast<int64_t>(format.height);
  const auto w = static_cast<int64_t>(format.width);
  const auto c = static_cast<int64_t>(format.channels);
  if (format.type == ImageType::kUint8) return {TensorType::kUint8, {rows, h, w, c}};
  return {TensorType::kFloat32, {rows, c, h, w}};
}

inline bool takes_latents(const Manifest& manifest) { return has_trait(manifest, kDecodes); }

// Returns true if the scale of the layers' noise is an input. Only generators have it: their noise
// is detail that an image can do without, unlike that of translators.
inline bool scales_noise(const Manifest& manifest) {
  return takes_latents(manifest) && !manifest.layer_noise.empty();
}

inline bool truncates(const Manifest& manifest) {
  return has_trait(manifest, kDrawsLatent) && manifest.style_layers != 0;
}

// Returns true if the graph can sample from the learned prior; the runtime never lets a graph do
// it.
inline bool has_mixture_input(const Manifest& manifest) {
  return !manifest.mixture.empty() && manifest.plan.buckets.empty();
}

// Returns true for inputs with one value for all rows.
inline bool is_scale(const std::string& name) {
  return name == io::kTruncation || name == io::kNoise || name == io::kMixture;
}

// Returns type and shape of an input or output in a run of `rows` rows, whose noise has one key or
// one for each row.
inline TensorInfo tensor_info(const std::string& name, const Manifest& manifest, size_t rows,
                              size_t keys = 1) {
  const auto n = static_cast<int64_t>(rows);
  const auto floats = [n](size_t width) {
    return TensorInfo{TensorType::kFloat32, {n, static_cast<int64_t>(width)}};
  };
  if (name == io::kImage) return image_info(manifest.image, n);
  if (name == io::kInput) return image_info(manifest.input, n);
  if (name == io::kScores) return floats(manifest.score_names.size());
  if (name == io::kStyles) return floats(manifest.style_mean.size());
  if (name == io::kAttributes) return floats(manifest.condition_names.size());
  if (name == io::kLabel) return {TensorType::kInt64, {n}};
  if (name == io::kSeed || name == io::kFirst) {
    return {TensorType::kInt64, {static_cast<int64_t>(keys)}};
  }
  if (is_scale(name)) return {TensorType::kFloat32, {1}};
  for (const LayerNoise& layer : manifest.layer_noise) {
    if (name == io::layer_noise(layer.stream)) return floats(layer.width);
  }
  return floats(manifest.latent_width);
}

// Name of the main input: latents or images.
inline const char* input_name(const Manifest& manifest) { return role_of(manifest).input; }

// Names of the inputs that a graph must have. draws: it has the noise operator.
inline std::vector<std::string> input_names(const Manifest& manifest, bool draws) {
  std::vector<std::string> names = {input_name(manifest)};
  if (manifest.condition_classes != 0) names.push_back(io::kLabel);
  if (!manifest.condition_names.empty()) names.push_back(io::kAttributes);
  if (truncates(manifest)) names.push_back(io::kTruncation);
  if (scales_noise(manifest)) names.push_back(io::kNoise);
  for (const LayerNoise& layer : manifest.layer_noise) {
    if (!draws) names.push_back(io::layer_noise(layer.stream));
  }
  if (draws) names.insert(names.end(), {io::kSeed, io::kFirst});
  if (draws && has_mixture_input(manifest)) names.push_back(io::kMixture);
  return names;
}

// Returns true if the first axis of the input or output is the batch.
inline bool has_rows(const std::string& name) {
  return name != io::kSeed && name != io::kFirst && !is_scale(name);
}

// Names of the outputs that a graph must have; it may have others.
inline std::vector<std::string> output_names(const Manifest& manifest) {
  const std::string output = role_of(manifest).output;
  if (output == io::kMu && manifest.posterior != "deterministic") return {io::kMu, io::kLogvar};
  return {output};
}

// An input or output of a graph, as reported by its file or a library.
struct GraphTensor {
  std::string name;
  std::optional<TensorType> type;  // nullopt for any other type
  std::vector<int64_t> shape;      // -1: any length
};

// Checks the inputs and outputs of a graph against its manifest. Throws EngineFileError if a
// required one is missing or has another type or shape, for inputs that are not in the manifest,
// and for outputs that other roles or variants have (kOutputs) but not this one. draws: the graph
// has the noise operator.
ZOO_API void check_tensors(const std::string& path, const Manifest& manifest, bool draws,
                           const std::vector<GraphTensor>& inputs,
                           const std::vector<GraphTensor>& outputs);

}  // namespace zoo
