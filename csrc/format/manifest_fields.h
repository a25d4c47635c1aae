// Reading the fields of a manifest: each is there and of its type, or ManifestError names it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "zoo/manifest.h"

namespace zoo {

using Json = nlohmann::json;

[[noreturn]] void fail(const std::string& field, const std::string& expected, const Json& got);

// path: of the parent, empty for the document itself.
const Json& require(const Json& parent, const std::string& path, const char* key);
const Json& require_object(const Json& parent, const char* key);
std::string require_string(const Json& parent, const std::string& path, const char* key);
size_t require_count(const Json& parent, const std::string& path, const char* key, uint64_t most);
void require_one_of(const std::string& field, const std::string& value,
                    const std::set<std::string>& allowed);
std::vector<float> require_numbers(const Json& value, const std::string& field, size_t count,
                                   bool negative = true);
std::vector<std::string> require_strings(const Json& value, const std::string& field);
std::vector<std::string> require_names(const Json& value, const std::string& field);
std::vector<std::string> optional_strings(const Json& document, const char* key);

// What goes into a graph beside latents and images, and the noise drawn in it.
void parse_noise(const Json& document, Manifest* manifest);
void parse_condition(const Json& document, Manifest* manifest);
void parse_truncation(const Json& document, Manifest* manifest);

// What a TensorRT plan says of itself, under "plan", if the document is one's.
void parse_plan(const Json& document, Manifest* manifest);

}  // namespace zoo
