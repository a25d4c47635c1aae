// A file mapped for reading.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

#include "zoo/errors.h"

namespace zoo {

class MappedFile {
 public:
  // Throws EngineNotFoundError, and EngineFileError for what is empty, no regular file, or
  // cannot be read.
  explicit MappedFile(const std::string& path) : path_(path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
      if (errno == ENOENT) throw EngineNotFoundError("engine file '" + path + "' does not exist");
      throw EngineFileError("engine file '" + path + "' cannot be opened: " + strerror(errno));
    }
    struct stat info{};
    const bool regular = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    if (regular && info.st_size > 0) {
      size_ = static_cast<size_t>(info.st_size);
      data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    ::close(fd);
    if (!regular) throw EngineFileError("engine file '" + path + "' is not a regular file");
    if (size_ == 0) throw EngineFileError("engine file '" + path + "' is empty");
    if (data_ == MAP_FAILED) {
      throw EngineFileError("engine file '" + path + "' cannot be mapped: " + strerror(errno));
    }
  }
  ~MappedFile() {
    if (data_ != nullptr && data_ != MAP_FAILED) ::munmap(data_, size_);
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  size_t size() const { return size_; }
  const uint8_t* begin() const { return static_cast<const uint8_t*>(data_); }
  const uint8_t* end() const { return begin() + size_; }

 private:
  std::string path_;
  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace zoo
