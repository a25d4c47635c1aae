// A file in memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "zoo/export.h"

namespace zoo {

// The bytes that a file has when it is opened: read, not mapped, for whoever writes to a mapped
// file changes it under its reader, and whoever truncates it ends the process.
class ZOO_API MappedFile {
 public:
  // Throws EngineNotFoundError, and EngineFileError for what is empty, no regular file, cannot be
  // read, or is longer than what it begins as can be; ArgumentError for a path with a NUL.
  explicit MappedFile(const std::string& path);

  const std::string& path() const { return path_; }
  size_t size() const { return size_; }
  const uint8_t* begin() const { return bytes_.get(); }
  const uint8_t* end() const { return begin() + size_; }

 private:
  std::string path_;
  std::unique_ptr<uint8_t[]> bytes_;
  size_t size_ = 0;
};

}  // namespace zoo
