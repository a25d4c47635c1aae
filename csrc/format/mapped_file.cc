#include "format/mapped_file.h"

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

// Protocol buffers, and ONNX files with them, end there. A plan says in its header how long it is.
constexpr uint64_t kMostOnnx = uint64_t{1} << 31;

// Read at a time; the kernel does not take more than 2 GiB.
constexpr size_t kPiece = size_t{1} << 30;

class Descriptor {
 public:
  // Not blocking: nobody waits for the other end of a pipe.
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

// As many bytes as there are, at most `size`; -1 for an error.
int64_t read_all(int file, uint8_t* bytes, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(file, bytes + done, std::min(size - done, kPiece));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return static_cast<int64_t>(done);
}

}  // namespace

MappedFile::MappedFile(const std::string& path) : path_(path) {
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
  const bool begun = ::pread(file.number(), start, sizeof start, 0) == sizeof start;
  if (size > kMostOnnx && !(begun && begins_as_plan({start, sizeof start}))) {
    throw EngineFileError(name + " is not an ONNX file: it has " + std::to_string(size) +
                          " bytes, and those have at most " + std::to_string(kMostOnnx));
  }
  bytes_.reset(new (std::nothrow) uint8_t[size]);
  if (!bytes_) {
    throw EngineFileError(name + " cannot be read: there is no memory for its " +
                          std::to_string(size) + " bytes");
  }
  const int64_t got = read_all(file.number(), bytes_.get(), size);
  if (got < 0) throw EngineFileError(name + " cannot be read: " + std::strerror(errno));
  if (got == 0) throw EngineFileError(name + " is empty");
  // Less where it was truncated meanwhile, which its reader finds.
  size_ = static_cast<size_t>(got);
}

}  // namespace zoo
