// A TensorRT plan from outside: what it is, without TensorRT and without a GPU.
#pragma once

#include <string>
#include <string_view>

#include "format/mapped_file.h"

namespace zoo {

// Whether it is a plan by its first bytes: of a text, of a file.
bool begins_as_plan(std::string_view text);
bool is_plan(const MappedFile& file);

// Whether the name ends as a plan's does, .plan or .engine.
bool is_plan_name(const std::string& path);

// The manifest in a plan: JSON in the name of its network and, where that is too short for it, in
// the metadata of its layers. Throws EngineFileError (truncated, damaged, not a plan) and
// NotAnEngineError (no manifest in it).
std::string read_plan_manifest(const MappedFile& file);

}  // namespace zoo
