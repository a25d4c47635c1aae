#include <algorithm>
#include <set>

#include "format/manifest_fields.h"
#include "format/tensors.h"

namespace zoo {
namespace {

constexpr uint64_t kMaxAxis = INT32_MAX;

// Returns the bytes of one value. Throws ManifestError for an unsupported type.
size_t value_bytes(const std::string& type, const std::string& path) {
  require_one_of(path + ".dtype", type, {"float32", "int64", "uint8"});
  return type == "float32" ? 4 : type == "int64" ? 8 : 1;
}

PlanTensor parse_tensor(const Json& tensor, const std::string& path) {
  PlanTensor parsed;
  parsed.name = require_string(tensor, path, "name");
  parsed.type = require_string(tensor, path, "dtype");
  parsed.row_bytes = value_bytes(parsed.type, path);
  const Json& shape = require(tensor, path, "shape");
  if (!shape.is_array()) fail(path + ".shape", "an array of lengths and names", shape);
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    const bool named = shape[axis].is_string();
    if (named ? axis != 0 : !shape[axis].is_number_unsigned()) {
      fail(path + ".shape", "lengths, and optionally a name for the first", shape);
    }
    if (named) {
      parsed.rows = true;
      parsed.shape.push_back(-1);
      continue;
    }
    const auto length = shape[axis].get<uint64_t>();
    if (length > kMaxAxis || __builtin_mul_overflow(parsed.row_bytes, length, &parsed.row_bytes)) {
      fail(path + ".shape", "a tensor that fits in memory", shape);
    }
    parsed.shape.push_back(static_cast<int64_t>(length));
  }
  return parsed;
}

// Describes an input or output as "plan" does, from the other fields of the manifest.
Json describe(const std::string& name, const Manifest& manifest) {
  // A plan takes the finished latent, which has the shape of the noise operator's operand.
  const bool latent = name == io::kLatent && takes_latents(manifest);
  const TensorInfo info = tensor_info(latent ? input_name(manifest) : name, manifest, 1);
  Json shape = info.shape;
  // Only plans with plugins have keys, one for each row.
  if (!is_scale(name)) shape[0] = "N";
  const char* type = info.type == TensorType::kFloat32 ? "float32" : "uint8";
  if (info.type == TensorType::kInt64) type = "int64";
  return {{"name", name}, {"dtype", type}, {"shape", shape}};
}

Json describe(const PlanTensor& tensor) {
  Json shape = tensor.shape;
  if (tensor.rows) shape[0] = "N";
  return {{"name", tensor.name}, {"dtype", tensor.type}, {"shape", shape}};
}

// Checks that `tensors` have these names, and types and shapes as in the rest of the manifest.
// `more`: others are allowed.
void check_tensors(const std::string& field, const std::vector<PlanTensor>& tensors,
                   const std::vector<std::string>& names, bool more, const Manifest& manifest) {
  std::set<std::string> seen;
  for (const PlanTensor& tensor : tensors) {
    if (!seen.insert(tensor.name).second) fail(field, "distinct names", describe(tensor));
    if (std::find(names.begin(), names.end(), tensor.name) == names.end()) {
      if (!more) fail(field, "only tensors of the role", describe(tensor));
      continue;
    }
    const Json expected = describe(tensor.name, manifest);
    if (describe(tensor) != expected) fail(field, expected.dump(), describe(tensor));
  }
  for (const std::string& name : names) {
    if (seen.count(name) == 0) {
      fail(field, describe(name, manifest).dump(), Json(Json::value_t::discarded));
    }
  }
}

// Names of the inputs that a plan must have.
std::vector<std::string> plan_inputs(const Manifest& manifest) {
  const bool plugins = manifest.plan.plugins;
  std::vector<std::string> names = input_names(manifest, plugins);
  if (!plugins) {
    if (takes_latents(manifest)) names.front() = io::kLatent;
    return names;
  }
  // Latents are drawn inside, and scales are constants.
  if (takes_latents(manifest)) names.erase(names.begin());
  names.erase(std::remove_if(names.begin(), names.end(), is_scale), names.end());
  return names;
}

std::vector<PlanTensor> parse_tensors(const Json& plan, const char* which) {
  const std::string field = std::string("plan.") + which;
  const Json& tensors = require(plan, "plan", which);
  if (!tensors.is_array() || tensors.empty()) fail(field, "an array of tensors", tensors);
  std::vector<PlanTensor> parsed;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const std::string path = field + "[" + std::to_string(i) + "]";
    if (!tensors[i].is_object()) fail(path, "an object", tensors[i]);
    parsed.push_back(parse_tensor(tensors[i], path));
  }
  return parsed;
}

}  // namespace

void parse_plan(const Json& document, Manifest* manifest) {
  if (!document.contains("plan")) return;
  const Json& plan = require_object(document, "plan");
  PlanDescription& parsed = manifest->plan;
  parsed.target = require_string(plan, "plan", "target");
  require_one_of("plan.target", parsed.target, {"tensorrt", "tensorrt-rtx"});
  parsed.tensorrt = require_string(plan, "plan", "tensorrt");
  if (plan.contains("compute_capability") && !plan["compute_capability"].is_null()) {
    parsed.capability = require_string(plan, "plan", "compute_capability");
  }
  parsed.eight_bits = plan.contains("calibration");
  if (plan.contains("plugins")) {
    if (!plan["plugins"].is_boolean()) fail("plan.plugins", "true or false", plan["plugins"]);
    parsed.plugins = plan["plugins"].get<bool>();
  }
  const Json& buckets = require(plan, "plan", "buckets");
  const char* const kExpected = "increasing batch sizes";
  if (!buckets.is_array() || buckets.empty()) fail("plan.buckets", kExpected, buckets);
  for (const Json& bucket : buckets) {
    const size_t last = parsed.buckets.empty() ? 0 : parsed.buckets.back();
    if (!bucket.is_number_unsigned() || bucket.get<size_t>() <= last) {
      fail("plan.buckets", kExpected, buckets);
    }
    if (bucket.get<uint64_t>() > manifest->batch_max) {
      fail("plan.buckets", "batch sizes up to batch.max, " + std::to_string(manifest->batch_max),
           buckets);
    }
    parsed.buckets.push_back(bucket.get<size_t>());
  }
  parsed.inputs = parse_tensors(plan, "inputs");
  parsed.outputs = parse_tensors(plan, "outputs");
  require_strings(require(plan, "plan", "fp32_layers"), "plan.fp32_layers");
  check_tensors("plan.inputs", parsed.inputs, plan_inputs(*manifest), /*more=*/false, *manifest);
  check_tensors("plan.outputs", parsed.outputs, output_names(*manifest), /*more=*/true, *manifest);
}

}  // namespace zoo
