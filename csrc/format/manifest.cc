#include "zoo/manifest.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "format/engine_file.h"
#include "format/json_scan.h"
#include "format/manifest_fields.h"
#include "format/onnx_file.h"
#include "format/plan_file.h"
#include "format/tensors.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

// The exporter's manifests nest five levels deep and have at most 200 kB.
constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxBytes = size_t{16} << 20;

// Limit of batch.min; no library is known to need more than 16 rows for reproducible bits
// (export/rows.py).
constexpr size_t kMaxBatchMin = 256;

// Limits length and depth: code that reads, copies or prints nested values is recursive.
void check_depth(const std::string& text) {
  if (text.size() > kMaxBytes) {
    throw ManifestError("the manifest is " + std::to_string(text.size()) +
                        " bytes long, expected at most " + std::to_string(kMaxBytes));
  }
  size_t depth = 0;
  scan_brackets(text, [&](size_t, char c) {
    if (c == '[' || c == '{') {
      ++depth;
    } else if (depth != 0) {
      --depth;
    }
    if (depth <= kMaxDepth) return true;
    throw ManifestError("the manifest is nested deeper than " + std::to_string(kMaxDepth) +
                        " levels");
  });
}

// Checks that the memory of a run of batch.max rows can be counted in 62 bits, so that no size
// computed from the manifest overflows.
void check_sizes(const Manifest& manifest) {
  uint64_t row = 0;
  const auto add = [&](uint64_t bytes) {
    if (__builtin_add_overflow(row, bytes, &row)) row = UINT64_MAX;
  };
  // Each of these is far below 2^62 by itself.
  std::vector<std::string> names = input_names(manifest, /*draws=*/false);
  const std::vector<std::string> outputs = output_names(manifest);
  names.insert(names.end(), outputs.begin(), outputs.end());
  for (const std::string& name : names) add(tensor_info(name, manifest, 1).bytes());
  for (const PlanTensor& tensor : manifest.plan.inputs) add(tensor.row_bytes);
  for (const PlanTensor& tensor : manifest.plan.outputs) add(tensor.row_bytes);
  uint64_t all = 0;
  if (!__builtin_mul_overflow(row, uint64_t{manifest.batch_max}, &all) && all >> 62 == 0) return;
  fail("batch.max", "runs that fit in memory at " + std::to_string(row) + " bytes per row",
       Json(manifest.batch_max));
}

void parse_digest(const Json& document, Manifest* manifest) {
  const auto digest = document.find(kDigestField);
  if (digest == document.end()) return;
  const std::string text = digest->is_string() ? digest->get<std::string>() : "";
  if (text.size() != 64 || text.find_first_not_of("0123456789abcdef") != std::string::npos) {
    fail(kDigestField, "64 hexadecimal digits", *digest);
  }
  manifest->file_blake2b = text;
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

void parse_int8(const Json& document, Manifest* manifest) {
  if (!document.contains("int8")) return;
  const Json& int8 = require_object(document, "int8");
  if (int8.contains("refused")) manifest->int8_refused = require_string(int8, "int8", "refused");
  if (!int8.contains("ranges")) {
    if (manifest->int8_refused.empty()) fail("int8", "'ranges' or 'refused'", int8);
    return;
  }
  const Json& ranges = int8["ranges"];
  if (!ranges.is_object()) fail("int8.ranges", "an object", ranges);
  for (const auto& [layer, range] : ranges.items()) {
    const std::string field = "int8.ranges." + layer;
    const std::vector<float> ends = require_numbers(range, field, 2);
    if (ends[0] > ends[1]) fail(field, "[low, high] with low <= high", range);
    manifest->int8_ranges[layer] = {ends[0], ends[1]};
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
    fail("input.channels", "at least 2, including the mask", input["channels"]);
  }
  if (document.contains("task")) manifest->task = require_string(document, "", "task");
  optional_strings(document, "corruption");
}

void parse_scores(const Json& document, Manifest* manifest) {
  const Json& scores = require_object(document, "scores");
  manifest->score_names = require_names(require(scores, "scores", "names"), "scores.names");
  manifest->score_kind = require_string(scores, "scores", "kind");
  require_one_of("scores.kind", manifest->score_kind, {"classes", "multilabel"});
}

}  // namespace

Manifest Manifest::parse(const std::string& text) {
  check_depth(text);
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
  require_one_of("role", manifest.role, role_names());
  manifest.image = parse_image(require_object(document, "image"));
  manifest.precision = require_string(document, "", "precision");
  const Json& batch = require_object(document, "batch");
  manifest.batch_min = require_count(batch, "batch", "min", kMaxBatchMin);
  manifest.batch_max = require_count(batch, "batch", "max", 1 << 24);
  if (manifest.batch_max < manifest.batch_min) fail("batch.max", "at least batch.min", batch);
  const Role& role = role_of(manifest);
  if (role.has(kHasLatent)) parse_latent(document, &manifest);
  if (role.has(kTranslates)) parse_input(document, &manifest);
  if (role.has(kScores)) parse_scores(document, &manifest);
  manifest.classes = optional_strings(document, "classes");
  manifest.attributes = optional_strings(document, "attributes");
  parse_noise(document, &manifest);
  parse_condition(document, &manifest);
  parse_truncation(document, &manifest);
  parse_mixture(document, &manifest);
  require_string(require_object(document, "versions"), "versions", "zoo");
  parse_throughput(document, &manifest);
  parse_int8(document, &manifest);
  parse_plan(document, &manifest);
  parse_digest(document, &manifest);
  check_sizes(manifest);
  return manifest;
}

Manifest Manifest::read(const std::string& path) { return read_manifest(FileContents(path)); }

Manifest read_manifest(const FileContents& file) {
  const bool plan = is_plan(file) || is_plan_name(file.path());
  const std::string document = plan ? read_plan_manifest(file) : read_onnx_manifest(file);
  const std::string prefix = "engine file '" + file.path() + "': ";
  try {
    Manifest manifest = Manifest::parse(document);
    if (plan == manifest.plan.buckets.empty()) {
      throw ManifestError(plan ? "'plan': a plan's manifest must have this field"
                               : "'plan': expected none, because the file is not a plan");
    }
    return manifest;
  } catch (const SchemaVersionError& error) {
    throw SchemaVersionError(prefix + error.what());
  } catch (const ManifestError& error) {
    throw ManifestError(prefix + error.what());
  }
}

}  // namespace zoo
