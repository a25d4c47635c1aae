// TensorRT plan files, read without TensorRT and without a GPU.
#pragma once

#include <string>
#include <string_view>

#include "format/file_contents.h"

namespace zoo {

// Return true if a text, or a file, begins with the magic bytes of a plan.
bool begins_as_plan(std::string_view text);
bool is_plan(const FileContents& file);

// Returns true if the name ends in .plan or .engine.
bool is_plan_name(const std::string& path);

// Returns the manifest of a plan: JSON in the name of its network or, if it is too long for that,
// in the metadata of its layers. Throws EngineFileError (truncated, damaged, not a plan) and
// NotAnEngineError (no manifest).
std::string read_plan_manifest(const FileContents& file);

}  // namespace zoo
