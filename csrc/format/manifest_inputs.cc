// Inputs of a graph besides latents and images, and the noise that it draws.

#include <algorithm>
#include <set>

#include "format/manifest_fields.h"
#include "format/roles.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

// The first schema with conditions, noise in layers and truncation.
constexpr int kInputsSchema = 2;

constexpr size_t kMaxLayers = 4096;

void require_schema(const Manifest& manifest, const std::string& field) {
  if (manifest.schema >= kInputsSchema) return;
  fail("schema", std::to_string(kInputsSchema) + " with " + field, Json(manifest.schema));
}

void parse_layers(const Json& layers, bool has_latent, Manifest* manifest) {
  const std::string field = "noise.streams.layers";
  if (!layers.is_array() || layers.size() > kMaxLayers) {
    fail(field, "an array of at most " + std::to_string(kMaxLayers), layers);
  }
  std::set<uint32_t> used;
  if (has_latent) used.insert(manifest->latent_stream);
  for (const Json& entry : layers) {
    if (!entry.is_object()) fail(field, "objects with stream and width", entry);
    LayerNoise layer;
    layer.stream = require_stream(entry, field, "stream");
    layer.width = require_count(entry, field, "width", 1 << 24);
    if (!used.insert(layer.stream).second) {
      fail(field + ".stream", "a stream that is not in use", entry["stream"]);
    }
    manifest->layer_noise.push_back(layer);
  }
  if (!manifest->layer_noise.empty()) require_schema(*manifest, field);
}

}  // namespace

uint32_t require_stream(const Json& parent, const std::string& path, const char* key) {
  const Json& stream = require(parent, path, key);
  if (!stream.is_number_unsigned() || stream.get<uint64_t>() > UINT32_MAX) {
    fail(path + "." + key, "an integer from 0 to 4294967295", stream);
  }
  return stream.get<uint32_t>();
}

void parse_noise(const Json& document, Manifest* manifest) {
  const bool has_latent = has_trait(*manifest, kDrawsLatent);
  if (!has_trait(*manifest, kDrawsInLayers)) return;
  if (!has_latent && !document.contains("noise")) return;
  const Json& noise = require_object(document, "noise");
  require_one_of("noise.algorithm", require_string(noise, "noise", "algorithm"), {"philox4x32-10"});
  require_one_of("noise.transform", require_string(noise, "noise", "transform"), {"box-muller"});
  const Json& streams = require(noise, "noise", "streams");
  if (!streams.is_object()) fail("noise.streams", "an object", streams);
  if (has_latent) manifest->latent_stream = require_stream(streams, "noise.streams", "latent");
  if (const auto layers = streams.find("layers"); layers != streams.end()) {
    parse_layers(*layers, has_latent, manifest);
  }
}

void parse_condition(const Json& document, Manifest* manifest) {
  if (!document.contains("condition")) return;
  require_schema(*manifest, "condition");
  const Json& condition = require_object(document, "condition");
  const std::string kind = require_string(condition, "condition", "kind");
  if (has_trait(*manifest, kTranslates)) {
    require_one_of("condition.kind", kind, {"attributes"});
    const Json& names = require(condition, "condition", "names");
    manifest->condition_names = require_names(names, "condition.names");
    return;
  }
  require_one_of("condition.kind", kind, {"classes"});
  manifest->condition_classes = require_count(condition, "condition", "count", 1 << 24);
  if (!manifest->classes.empty() && manifest->classes.size() != manifest->condition_classes) {
    fail("condition.count", std::to_string(manifest->classes.size()) + ", the number of classes",
         condition["count"]);
  }
}

void parse_truncation(const Json& document, Manifest* manifest) {
  if (!document.contains("truncation")) {
    // Nothing else describes the output of a mapping network.
    if (has_trait(*manifest, kMakesStyles)) require_object(document, "truncation");
    return;
  }
  require_schema(*manifest, "truncation");
  const Json& truncation = require_object(document, "truncation");
  const size_t width = require_count(truncation, "truncation", "width", 1 << 24);
  manifest->style_layers = require_count(truncation, "truncation", "layers", 1 << 16);
  const Json& mean = require(truncation, "truncation", "mean");
  manifest->style_mean = require_numbers(mean, "truncation.mean", width);
}

int64_t Manifest::label(const std::string& name) const {
  const auto position = std::find(classes.begin(), classes.end(), name);
  if (condition_classes == 0 || position == classes.end()) {
    throw ArgumentError("label: expected " + class_range() + ", got '" + name + "'");
  }
  return position - classes.begin();
}

std::string Manifest::class_range() const {
  constexpr size_t kListed = 20;
  if (condition_classes == 0) return "none, because the engine has no classes";
  std::string text = "a class from 0 to " + std::to_string(condition_classes - 1);
  for (size_t i = 0; i < std::min(classes.size(), kListed); ++i) {
    text += (i ? ", " : " (") + classes[i];
  }
  if (classes.size() > kListed) text += ", ...";
  return classes.empty() ? text : text + ")";
}

}  // namespace zoo
