// A loaded engine of any role, and what the calls of all roles have in common.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "c/structs.h"
#include "zoo/engine.h"

struct zoo_engine {
  std::variant<zoo::Generator, zoo::Encoder, zoo::Mapping, zoo::Translator, zoo::Classifier> any;

  // What zoo_engine_describe points to, beside the manifest.
  std::string backend = {};
  std::string device = {};
  std::vector<const char*> attributes = {};
  std::vector<const char*> scores = {};
};

namespace zoo::c {

const LoadedEngine& loaded(const zoo_engine* engine);

[[noreturn]] void throw_wrong_role(const zoo_engine* engine, const char* expected);

// Returns the engine as one of a class, described as `expected`. Throws ArgumentError for null and
// for other roles.
template <typename T>
const T& engine_as(const zoo_engine* engine, const char* expected) {
  require("engine", engine);
  const T* const typed = std::get_if<T>(&engine->any);
  if (!typed) throw_wrong_role(engine, expected);
  return *typed;
}

Memory memory_of(const char* name, int32_t number);

Cancel cancel_of(zoo_cancel cancel, void* context);

const SampleKey* keys_of(const zoo_key* keys);

// Fields without a meaning must be 0, so that they can get one.
void check_reserved(int32_t field);

SampleRequest sample_request(const zoo_sample_request& from);

// Checks an output of `rows` rows in an array of `given` bytes or values.
void check_output(const char* name, const void* data, size_t given, size_t rows, size_t row);

}  // namespace zoo::c
