// BLAKE2b (RFC 7693) with a digest of 32 bytes and no key: hashlib.blake2b(digest_size=32) in
// Python, b2sum -l 256 in a shell.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace zoo {

class Blake2b {
 public:
  Blake2b();

  void update(const void* data, size_t bytes);

  // Returns 64 lower-case hexadecimal digits; no update may follow.
  std::string hex_digest();

 private:
  static constexpr size_t kBlock = 128;

  void compress(const uint8_t* block, bool last);

  uint64_t state_[8];
  uint64_t length_ = 0;  // bytes hashed into the state
  uint8_t pending_[kBlock];
  size_t pending_bytes_ = 0;
};

}  // namespace zoo
