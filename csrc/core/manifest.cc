#include "zoo/manifest.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "core/onnx_file.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

using Json = nlohmann::json;

[[noreturn]] void fail(const std::string& field, const std::string& expected, const Json& got) {
  // ASCII, so that the cut does not go through a character.
  std::string text = got.is_discarded() ? "nothing" : got.dump(-1, ' ', true);
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  throw ManifestError("manifest field '" + field + "': expected " + expected + ", got " + text);
}

const Json& require(const Json& parent, const std::string& path, const char* key) {
  static const Json missing = Json(Json::value_t::discarded);
  const std::string field = path.empty() ? key : path + "." + key;
  const auto found = parent.find(key);
  if (found == parent.end()) fail(field, "a value", missing);
  return *found;
}

const Json& require_object(const Json& parent, const char* key) {
  const Json& value = require(parent, "", key);
  if (!value.is_object()) fail(key, "an object", value);
  return value;
}

std::string require_string(const Json& parent, const std::string& path, const char* key) {
  const Json& value = require(parent, path, key);
  if (!value.is_string() || value.get<std::string>().empty()) {
    fail(path.empty() ? key : path + "." + key, "a non-empty string", value);
  }
  return value.get<std::string>();
}

size_t require_count(const Json& parent, const std::string& path, const char* key, uint64_t most) {
  const Json& value = require(parent, path, key);
  if (!value.is_number_integer() || value.get<int64_t>() < 1 || value.get<uint64_t>() > most) {
    fail(path + "." + key, "an integer from 1 to " + std::to_string(most), value);
  }
  return value.get<size_t>();
}

void require_one_of(const std::string& field, const std::string& value,
                    const std::set<std::string>& allowed) {
  if (allowed.count(value)) return;
  std::string names;
  for (const auto& name : allowed) names += (names.empty() ? "" : ", ") + name;
  fail(field, "one of " + names, Json(value));
}

bool is_finite(const Json& value) { return value.is_number() && std::isfinite(value.get<float>()); }

std::vector<float> require_numbers(const Json& value, const std::string& field, size_t count,
                                   bool negative = true) {
  const auto good = [negative](const Json& entry) {
    return is_finite(entry) && (negative || entry.get<float>() >= 0.0f);
  };
  if (!value.is_array() || value.size() != count ||
      !std::all_of(value.begin(), value.end(), good)) {
    fail(field, std::to_string(count) + " finite numbers" + (negative ? "" : " from 0"), value);
  }
  return value.get<std::vector<float>>();
}

std::vector<std::string> require_strings(const Json& value, const std::string& field) {
  const auto good = [](const Json& entry) { return entry.is_string(); };
  if (!value.is_array() || !std::all_of(value.begin(), value.end(), good)) {
    fail(field, "an array of strings", value);
  }
  return value.get<std::vector<std::string>>();
}

std::vector<std::string> optional_strings(const Json& document, const char* key) {
  const auto found = document.find(key);
  return found == document.end() ? std::vector<std::string>() : require_strings(*found, key);
}

ImageFormat parse_size(const Json& image, const char* field) {
  ImageFormat format;
  format.height = require_count(image, field, "height", 1 << 15);
  format.width = require_count(image, field, "width", 1 << 15);
  format.channels = require_count(image, field, "channels", 64);
  return format;
}

ImageFormat parse_image(const Json& image) {
  ImageFormat format = parse_size(image, "image");
  const std::string type = require_string(image, "image", "dtype");
  require_one_of("image.dtype", type, {"float32", "uint8"});
  format.type = type == "uint8" ? ImageType::kUint8 : ImageType::kFloat32;
  const char* layout = format.type == ImageType::kUint8 ? "NHWC" : "NCHW";
  require_one_of("image.layout", require_string(image, "image", "layout"), {layout});
  const Json& range = require(image, "image", "range");
  if (!range.is_array() || range.size() != 2 || !range[0].is_number() || !range[1].is_number() ||
      range[0].get<double>() >= range[1].get<double>()) {
    fail("image.range", "[low, high] with low < high", range);
  }
  return format;
}

void parse_throughput(const Json& document, Manifest* manifest) {
  const auto all = document.find("throughput");
  if (all == document.end()) return;
  if (!all->is_object()) fail("throughput", "an object", *all);
  for (const auto& [backend, batches] : all->items()) {
    if (!batches.is_object()) fail("throughput." + backend, "an object", batches);
    double log_sum = 0.0;
    for (const auto& [batch, rate] : batches.items()) {
      if (!rate.is_number() || !(rate.get<double>() > 0.0)) {
        fail("throughput." + backend + "." + batch, "images/s above 0", rate);
      }
      log_sum += std::log(rate.get<double>());
    }
    if (!batches.empty()) {
      manifest->throughput[backend] = std::exp(log_sum / static_cast<double>(batches.size()));
    }
  }
}

void parse_latent(const Json& document, Manifest* manifest) {
  const Json& latent = require_object(document, "latent");
  manifest->latent_width = require_count(latent, "latent", "width", 1 << 24);
  manifest->prior = require_string(latent, "latent", "prior");
  require_one_of("latent.prior", manifest->prior, {"none", "normal"});
  manifest->posterior =
      latent.contains("posterior") ? require_string(latent, "latent", "posterior") : "gaussian";
  require_one_of("latent.posterior", manifest->posterior, {"deterministic", "gaussian"});
  const size_t width = manifest->latent_width;
  if (const auto mean = latent.find("mean"); mean != latent.end()) {
    manifest->latent_mean = require_numbers(*mean, "latent.mean", width);
  }
  if (const auto std = latent.find("std"); std != latent.end()) {
    manifest->latent_std = require_numbers(*std, "latent.std", width, /*negative=*/false);
  }
  const auto directions = document.find("directions");
  if (directions == document.end()) return;
  if (!directions->is_object()) fail("directions", "an object", *directions);
  for (const auto& [name, direction] : directions->items()) {
    manifest->directions[name] = require_numbers(direction, "directions." + name, width);
  }
}

void parse_input(const Json& document, Manifest* manifest) {
  const Json& input = require_object(document, "input");
  manifest->input = parse_size(input, "input");
  require_one_of("input.dtype", require_string(input, "input", "dtype"), {"uint8"});
  require_one_of("input.layout", require_string(input, "input", "layout"), {"NHWC"});
  const Json& alpha = require(input, "input", "alpha");
  if (!alpha.is_boolean()) fail("input.alpha", "true or false", alpha);
  manifest->alpha = alpha.get<bool>();
  if (manifest->alpha && manifest->input.channels < 2) {
    fail("input.channels", "at least 2, one of them the mask", input["channels"]);
  }
  if (document.contains("task")) manifest->task = require_string(document, "", "task");
  optional_strings(document, "corruption");
}

void parse_scores(const Json& document, Manifest* manifest) {
  const Json& scores = require_object(document, "scores");
  const Json& names = require(scores, "scores", "names");
  manifest->score_names = require_strings(names, "scores.names");
  const std::set<std::string> distinct(manifest->score_names.begin(), manifest->score_names.end());
  if (distinct.empty() || distinct.size() != names.size() || distinct.count("")) {
    fail("scores.names", "one or more different names", names);
  }
  manifest->score_kind = require_string(scores, "scores", "kind");
  require_one_of("scores.kind", manifest->score_kind, {"classes", "multilabel"});
}

void parse_noise(const Json& document, Manifest* manifest) {
  const Json& noise = require_object(document, "noise");
  require_one_of("noise.algorithm", require_string(noise, "noise", "algorithm"), {"philox4x32-10"});
  require_one_of("noise.transform", require_string(noise, "noise", "transform"), {"box-muller"});
  const Json& streams = require(noise, "noise", "streams");
  if (!streams.is_object()) fail("noise.streams", "an object", streams);
  const Json& stream = require(streams, "noise.streams", "latent");
  if (!stream.is_number_unsigned() || stream.get<uint64_t>() > UINT32_MAX) {
    fail("noise.streams.latent", "an integer from 0 to 4294967295", stream);
  }
  manifest->latent_stream = stream.get<uint32_t>();
}

}  // namespace

Manifest Manifest::parse(const std::string& text) {
  const Json document = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) throw ManifestError("the manifest is not valid JSON");
  if (!document.is_object()) fail("(document)", "an object", document);

  Manifest manifest;
  manifest.json = text;
  const Json& schema = require(document, "", "schema");
  if (!schema.is_number_integer() || schema.get<int64_t>() < 1) {
    fail("schema", "an integer from 1", schema);
  }
  if (schema.get<uint64_t>() > static_cast<uint64_t>(kManifestSchema)) {
    throw SchemaVersionError("the engine's manifest has schema " + schema.dump() +
                             ", this runtime reads schemas up to " +
                             std::to_string(kManifestSchema) + ": update generator-zoo");
  }
  manifest.schema = schema.get<int>();
  manifest.model = require_string(document, "", "model");
  manifest.role = require_string(document, "", "role");
  require_one_of(
      "role", manifest.role,
      {"classifier", "discriminator", "encoder", "generator", "interpolator", "translator"});
  manifest.image = parse_image(require_object(document, "image"));
  manifest.precision = require_string(document, "", "precision");
  const Json& batch = require_object(document, "batch");
  manifest.batch_min = require_count(batch, "batch", "min", 1 << 24);
  manifest.batch_max = require_count(batch, "batch", "max", 1 << 24);
  if (manifest.batch_max < manifest.batch_min) fail("batch.max", "at least batch.min", batch);
  const bool has_latent =
      manifest.role == "generator" || manifest.role == "encoder" || manifest.role == "interpolator";
  if (has_latent) parse_latent(document, &manifest);
  if (manifest.role == "generator") parse_noise(document, &manifest);
  if (manifest.role == "translator") parse_input(document, &manifest);
  if (manifest.role == "classifier") parse_scores(document, &manifest);
  manifest.classes = optional_strings(document, "classes");
  manifest.attributes = optional_strings(document, "attributes");
  require_string(require_object(document, "versions"), "versions", "zoo");
  parse_throughput(document, &manifest);
  return manifest;
}

Manifest Manifest::read(const std::string& path) {
  const std::string document = read_onnx_manifest(path);
  const std::string file = "engine file '" + path + "': ";
  try {
    return parse(document);
  } catch (const SchemaVersionError& error) {
    throw SchemaVersionError(file + error.what());
  } catch (const ManifestError& error) {
    throw ManifestError(file + error.what());
  }
}

}  // namespace zoo
