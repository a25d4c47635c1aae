// BLAKE2b (RFC 7693) with 32 bytes of digest and no key: hashlib.blake2b(digest_size=32) of
// Python, b2sum -l 256 of a shell.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace zoo {

class Blake2b {
 public:
  Blake2b();

  void update(const void* data, size_t bytes);

  // 64 lower-case hexadecimal digits; nothing may be added after it.
  std::string hex_digest();

 private:
  static constexpr size_t kBlock = 128;

  void compress(const uint8_t* block, bool last);

  uint64_t state_[8];
  uint64_t length_ = 0;  // bytes that are in the state
  uint8_t pending_[kBlock];
  size_t pending_bytes_ = 0;
};

}  // namespace zoo
