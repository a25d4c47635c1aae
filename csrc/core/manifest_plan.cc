#include "core/manifest_fields.h"

namespace zoo {
namespace {

void check_tensors(const Json& plan, const char* which) {
  const std::string field = std::string("plan.") + which;
  const Json& tensors = require(plan, "plan", which);
  if (!tensors.is_array() || tensors.empty()) fail(field, "an array of tensors", tensors);
  for (size_t i = 0; i < tensors.size(); ++i) {
    const std::string path = field + "[" + std::to_string(i) + "]";
    if (!tensors[i].is_object()) fail(path, "an object", tensors[i]);
    require_string(tensors[i], path, "name");
    require_string(tensors[i], path, "dtype");
    const Json& shape = require(tensors[i], path, "shape");
    if (!shape.is_array()) fail(path + ".shape", "an array of lengths and names", shape);
    for (const Json& axis : shape) {
      if (!axis.is_string() && !axis.is_number_unsigned()) {
        fail(path + ".shape", "an array of lengths and names", shape);
      }
    }
  }
}

}  // namespace

void check_plan(const Json& document) {
  if (!document.contains("plan")) return;
  const Json& plan = require_object(document, "plan");
  require_one_of("plan.target", require_string(plan, "plan", "target"),
                 {"tensorrt", "tensorrt-rtx"});
  require_string(plan, "plan", "tensorrt");
  const Json& buckets = require(plan, "plan", "buckets");
  if (!buckets.is_array() || buckets.empty()) fail("plan.buckets", "rising batch sizes", buckets);
  uint64_t last = 0;
  for (const Json& bucket : buckets) {
    if (!bucket.is_number_unsigned() || bucket.get<uint64_t>() <= last) {
      fail("plan.buckets", "rising batch sizes", buckets);
    }
    last = bucket.get<uint64_t>();
  }
  check_tensors(plan, "inputs");
  check_tensors(plan, "outputs");
  require_strings(require(plan, "plan", "fp32_layers"), "plan.fp32_layers");
}

}  // namespace zoo
