#include "format/file_contents.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "base/checks.h"
#include "format/plan_file.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

// Protocol Buffers, and so ONNX files, are limited to 2 GiB; plans are not.
constexpr uint64_t kMaxOnnxBytes = uint64_t{1} << 31;

// Bytes per call of read(), which is limited to 2 GiB.
constexpr size_t kReadBytes = size_t{1} << 30;

class Descriptor {
 public:
  // Non-blocking, so that opening a pipe does not wait for its other end.
  explicit Descriptor(const std::string& path)
      : number_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int number() const { return number_; }

 private:
  const int number_;
};

// Reads up to `size` bytes; returns their number, or -1 after an error.
int64_t read_all(int file, char* bytes, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(file, bytes + done, std::min(size - done, kReadBytes));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return static_cast<int64_t>(done);
}

}  // namespace

FileContents::FileContents(const std::string& path) : path_(path) {
  check_path(path);
  const std::string name = "engine file '" + path + "'";
  const Descriptor file(path);
  if (file.number() < 0) {
    if (errno == ENOENT) throw EngineNotFoundError(name + " does not exist");
    throw EngineFileError(name + " cannot be opened: " + std::strerror(errno));
  }
  struct stat info{};
  if (::fstat(file.number(), &info) != 0 || !S_ISREG(info.st_mode)) {
    throw EngineFileError(name + " is not a regular file");
  }
  if (info.st_size == 0) throw EngineFileError(name + " is empty");
  const auto size = static_cast<uint64_t>(info.st_size);
  char start[4] = {};
  const bool complete = ::pread(file.number(), start, sizeof start, 0) == sizeof start;
  if (size > kMaxOnnxBytes && !(complete && begins_as_plan({start, sizeof start}))) {
    throw EngineFileError(name + " is not an ONNX file: it has " + std::to_string(size) +
                          " bytes, and ONNX files have at most " + std::to_string(kMaxOnnxBytes));
  }
  bytes_.reset(new (std::nothrow) char[size]);
  if (!bytes_) {
    throw EngineFileError(name + " cannot be read: its " + std::to_string(size) +
                          " bytes do not fit in memory");
  }
  const int64_t got = read_all(file.number(), bytes_.get(), size);
  if (got < 0) throw EngineFileError(name + " cannot be read: " + std::strerror(errno));
  if (got == 0) throw EngineFileError(name + " is empty");
  // Fewer than `size` if the file was truncated meanwhile; the format's reader reports that.
  size_ = static_cast<size_t>(got);
}

}  // namespace zoo
