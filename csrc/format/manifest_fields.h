// Readers of manifest fields. Each throws ManifestError that names a missing or invalid field.
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

// path: the parent's field, empty for the document itself.
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

// Inputs of a graph besides latents and images, and the noise that it draws.
void parse_noise(const Json& document, Manifest* manifest);
void parse_condition(const Json& document, Manifest* manifest);
void parse_truncation(const Json& document, Manifest* manifest);

// Reads the learned prior under "latent.mixture", if there is one. Call after parse_noise.
void parse_mixture(const Json& document, Manifest* manifest);

// Reads a noise stream, an integer of 32 bits.
uint32_t require_stream(const Json& parent, const std::string& path, const char* key);

// Reads the description of a TensorRT plan under "plan", if there is one.
void parse_plan(const Json& document, Manifest* manifest);

}  // namespace zoo
