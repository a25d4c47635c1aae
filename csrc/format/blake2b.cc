#include "format/blake2b.h"

#include <algorithm>
#include <cstring>

namespace zoo {
namespace {

constexpr size_t kDigest = 32;
constexpr int kRounds = 12;

constexpr uint64_t kInitial[8] = {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b,
                                  0xa54ff53a5f1d36f1, 0x510e527fade682d1, 0x9b05688c2b3e6c1f,
                                  0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};

// Message word schedule of each round; rounds 10 and 11 repeat 0 and 1.
constexpr uint8_t kOrder[10][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
                                    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
                                    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
                                    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
                                    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
                                    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
                                    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
                                    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
                                    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

inline uint64_t rotate(uint64_t value, int bits) { return value >> bits | value << (64 - bits); }

inline void mix(uint64_t* v, int a, int b, int c, int d, uint64_t x, uint64_t y) {
  v[a] += v[b] + x;
  v[d] = rotate(v[d] ^ v[a], 32);
  v[c] += v[d];
  v[b] = rotate(v[b] ^ v[c], 24);
  v[a] += v[b] + y;
  v[d] = rotate(v[d] ^ v[a], 16);
  v[c] += v[d];
  v[b] = rotate(v[b] ^ v[c], 63);
}

}  // namespace

Blake2b::Blake2b() {
  std::memcpy(state_, kInitial, sizeof state_);
  // Parameter block: digest length, no key, fanout 1, depth 1.
  state_[0] ^= 0x01010000 ^ kDigest;
}

void Blake2b::compress(const uint8_t* block, bool last) {
  uint64_t words[16];
  // Little-endian, as are all supported machines.
  std::memcpy(words, block, sizeof words);
  uint64_t v[16];
  std::memcpy(v, state_, sizeof state_);
  std::memcpy(v + 8, kInitial, sizeof kInitial);
  v[12] ^= length_;
  if (last) v[14] = ~v[14];
#pragma GCC unroll 12
  for (int round = 0; round < kRounds; ++round) {
    const uint8_t* const at = kOrder[round % 10];
    mix(v, 0, 4, 8, 12, words[at[0]], words[at[1]]);
    mix(v, 1, 5, 9, 13, words[at[2]], words[at[3]]);
    mix(v, 2, 6, 10, 14, words[at[4]], words[at[5]]);
    mix(v, 3, 7, 11, 15, words[at[6]], words[at[7]]);
    mix(v, 0, 5, 10, 15, words[at[8]], words[at[9]]);
    mix(v, 1, 6, 11, 12, words[at[10]], words[at[11]]);
    mix(v, 2, 7, 8, 13, words[at[12]], words[at[13]]);
    mix(v, 3, 4, 9, 14, words[at[14]], words[at[15]]);
  }
  for (int i = 0; i < 8; ++i) state_[i] ^= v[i] ^ v[i + 8];
}

void Blake2b::update(const void* data, size_t bytes) {
  const auto* from = static_cast<const uint8_t*>(data);
  while (bytes != 0) {
    // The last block is compressed differently, so a full block waits for more data.
    if (pending_bytes_ == kBlock) {
      length_ += kBlock;
      compress(pending_, false);
      pending_bytes_ = 0;
    }
    if (pending_bytes_ == 0 && bytes > kBlock) {
      length_ += kBlock;
      compress(from, false);
      from += kBlock;
      bytes -= kBlock;
      continue;
    }
    const size_t count = std::min(bytes, kBlock - pending_bytes_);
    std::memcpy(pending_ + pending_bytes_, from, count);
    pending_bytes_ += count;
    from += count;
    bytes -= count;
  }
}

std::string Blake2b::hex_digest() {
  length_ += pending_bytes_;
  std::memset(pending_ + pending_bytes_, 0, kBlock - pending_bytes_);
  compress(pending_, true);
  std::string text;
  for (size_t i = 0; i < kDigest; ++i) {
    const auto byte = static_cast<uint8_t>(state_[i / 8] >> (8 * (i % 8)));
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

}  // namespace zoo
