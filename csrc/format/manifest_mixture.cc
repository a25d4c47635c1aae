// Learned prior of a generator.
#include <algorithm>
#include <cmath>
#include <string_view>

#include "base/text.h"
#include "format/manifest_fields.h"
#include "format/roles.h"
#include "ops/half_float.h"

namespace zoo {
namespace {

// The first schema with a learned prior.
constexpr int kMixtureSchema = 3;
constexpr size_t kMostComponents = 4096;

// Decodes base64 (RFC 4648, section 4). Returns false for text that is not canonical.
bool decode_base64(std::string_view text, std::vector<uint8_t>* bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.size() % 4 != 0) return false;
  const size_t digits = text.substr(0, text.find('=')).size();
  if (text.size() - digits > 2 || text.substr(digits).find_first_not_of('=') != text.npos) {
    return false;
  }
  uint32_t bits = 0;
  for (size_t i = 0; i < digits; ++i) {
    const size_t digit = kDigits.find(text[i]);
    if (digit == kDigits.npos) return false;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    // The first digit of four completes no byte.
    if (i % 4 != 0) bytes->push_back(static_cast<uint8_t>(bits >> (6 - 2 * (i % 4))));
  }
  const size_t rest = digits % 4;
  return rest == 0 || (bits & ((1u << (6 - 2 * (rest - 1))) - 1)) == 0;
}

std::vector<float> require_halves(const Json& value, const std::string& field, size_t count) {
  std::vector<uint8_t> bytes;
  const bool valid =
      value.is_string() && decode_base64(value.get_ref<const std::string&>(), &bytes);
  if (!valid || bytes.size() != 2 * count) {
    fail(field, std::to_string(count) + " numbers in half precision, in base64",
         valid ? Json(std::to_string(bytes.size()) + " bytes") : Json("other text"));
  }
  std::vector<float> numbers(count);
  for (size_t i = 0; i < count; ++i) {
    const auto bits = static_cast<uint16_t>(bytes[2 * i] | bytes[2 * i + 1] << 8);
    numbers[i] = to_float(Float16{bits});
    if (!std::isfinite(numbers[i])) fail(field, "finite numbers", Json("others"));
  }
  return numbers;
}

}  // namespace

void parse_mixture(const Json& document, Manifest* manifest) {
  if (!has_trait(*manifest, kDrawsLatent)) return;
  const Json& latent = require_object(document, "latent");
  const auto entry = latent.find("mixture");
  if (entry == latent.end()) return;
  const std::string field = "latent.mixture";
  if (manifest->schema < kMixtureSchema) {
    fail("schema", std::to_string(kMixtureSchema) + " with " + field, Json(manifest->schema));
  }
  if (!entry->is_object()) fail(field, "an object", *entry);
  if (manifest->prior != "normal") fail("latent.prior", "normal with " + field, manifest->prior);
  Mixture& mixture = manifest->mixture;
  mixture.stream = require_stream(*entry, field, "stream");
  const auto& layers = manifest->layer_noise;
  if (mixture.stream == manifest->latent_stream ||
      std::any_of(layers.begin(), layers.end(),
                  [&](const LayerNoise& layer) { return layer.stream == mixture.stream; })) {
    fail(field + ".stream", "a stream that is not in use", (*entry)["stream"]);
  }
  const std::string covariance = require_string(*entry, field, "covariance");
  require_one_of(field + ".covariance", covariance, {"diagonal", "full"});
  mixture.diagonal = covariance == "diagonal";
  const Json& thresholds = require(*entry, field, "thresholds");
  if (!thresholds.is_array() || thresholds.size() >= kMostComponents) {
    fail(field + ".thresholds", "fewer than " + std::to_string(kMostComponents) + " numbers",
         thresholds);
  }
  mixture.thresholds = require_numbers(thresholds, field + ".thresholds", thresholds.size());
  if (!std::is_sorted(mixture.thresholds.begin(), mixture.thresholds.end())) {
    fail(field + ".thresholds", "ascending numbers", thresholds);
  }
  const size_t components = mixture.thresholds.size() + 1, width = manifest->latent_width;
  const size_t scale = mixture.diagonal ? width : width * (width + 1) / 2;
  std::vector<float> numbers = require_halves(require(*entry, field, "parameters"),
                                              field + ".parameters", components * (width + scale));
  const auto middle = numbers.begin() + static_cast<std::ptrdiff_t>(components * width);
  mixture.means.assign(numbers.begin(), middle);
  mixture.scales.assign(middle, numbers.end());
}

}  // namespace zoo
