// The contents of an engine file, read into memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "zoo/export.h"

namespace zoo {

// A copy of the file's bytes, not a mapping: writing to a mapped file changes it under its reader,
// and truncating it ends the process.
class ZOO_API FileContents {
 public:
  // Throws EngineNotFoundError; EngineFileError for a file that is empty, not regular, unreadable,
  // or too long for its format; ArgumentError for a path with a NUL.
  explicit FileContents(const std::string& path);

  const std::string& path() const { return path_; }
  std::string_view text() const { return {bytes_.get(), size_}; }

 private:
  std::string path_;
  std::unique_ptr<char[]> bytes_;
  size_t size_ = 0;
};

}  // namespace zoo
