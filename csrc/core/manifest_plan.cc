#include "core/manifest_fields.h"

namespace zoo {
namespace {

// Bytes of one value. Throws ManifestError for a type that no plan of ours has.
size_t value_bytes(const Json& tensor, const std::string& path) {
  const std::string type = require_string(tensor, path, "dtype");
  require_one_of(path + ".dtype", type, {"float32", "int64", "uint8"});
  return type == "float32" ? 4 : type == "int64" ? 8 : 1;
}

PlanTensor parse_tensor(const Json& tensor, const std::string& path) {
  PlanTensor parsed;
  parsed.name = require_string(tensor, path, "name");
  parsed.row_bytes = value_bytes(tensor, path);
  const Json& shape = require(tensor, path, "shape");
  if (!shape.is_array()) fail(path + ".shape", "an array of lengths and names", shape);
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    const bool named = shape[axis].is_string();
    if (named ? axis != 0 : !shape[axis].is_number_unsigned()) {
      fail(path + ".shape", "lengths, and a name for the first at most", shape);
    }
    if (named) {
      parsed.rows = true;
    } else {
      parsed.row_bytes *= shape[axis].get<size_t>();
    }
  }
  return parsed;
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
  const Json& buckets = require(plan, "plan", "buckets");
  if (!buckets.is_array() || buckets.empty()) fail("plan.buckets", "rising batch sizes", buckets);
  for (const Json& bucket : buckets) {
    const size_t last = parsed.buckets.empty() ? 0 : parsed.buckets.back();
    if (!bucket.is_number_unsigned() || bucket.get<size_t>() <= last) {
      fail("plan.buckets", "rising batch sizes", buckets);
    }
    parsed.buckets.push_back(bucket.get<size_t>());
  }
  parsed.inputs = parse_tensors(plan, "inputs");
  parsed.outputs = parse_tensors(plan, "outputs");
  require_strings(require(plan, "plan", "fp32_layers"), "plan.fp32_layers");
}

}  // namespace zoo
