#include "format/manifest_fields.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "zoo/errors.h"

namespace zoo {

void fail(const std::string& field, const std::string& expected, const Json& got) {
  // ASCII, so that truncation does not split a character.
  std::string text = got.is_discarded() ? "nothing" : got.dump(-1, ' ', true);
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  throw ManifestError("manifest field '" + field + "': expected " + expected + ", got " + text);
}

const Json& require(const Json& parent, const std::string& path, const char* key) {
  static const Json missing = Json(Json::value_t::discarded);
  const std::string field = path.empty() ? key : path + "." + key;
  const auto value = parent.find(key);
  if (value == parent.end()) fail(field, "a value", missing);
  return *value;
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
  fail(field, "one of " + join({allowed.begin(), allowed.end()}), Json(value));
}

std::vector<float> require_numbers(const Json& value, const std::string& field, size_t count,
                                   bool negative) {
  const auto is_valid = [negative](const Json& entry) {
    return entry.is_number() && std::isfinite(entry.get<float>()) &&
           (negative || entry.get<float>() >= 0.0f);
  };
  if (!value.is_array() || value.size() != count ||
      !std::all_of(value.begin(), value.end(), is_valid)) {
    fail(field, std::to_string(count) + " finite numbers" + (negative ? "" : " from 0"), value);
  }
  return value.get<std::vector<float>>();
}

std::vector<std::string> require_strings(const Json& value, const std::string& field) {
  const auto is_string = [](const Json& entry) { return entry.is_string(); };
  if (!value.is_array() || !std::all_of(value.begin(), value.end(), is_string)) {
    fail(field, "an array of strings", value);
  }
  return value.get<std::vector<std::string>>();
}

std::vector<std::string> require_names(const Json& value, const std::string& field) {
  std::vector<std::string> names = require_strings(value, field);
  const std::set<std::string> distinct(names.begin(), names.end());
  if (distinct.empty() || distinct.size() != names.size() || distinct.count("")) {
    fail(field, "one or more distinct names", value);
  }
  return names;
}

std::vector<std::string> optional_strings(const Json& document, const char* key) {
  const auto value = document.find(key);
  return value == document.end() ? std::vector<std::string>() : require_strings(*value, key);
}

}  // namespace zoo
