// Argument checks shared by several entry points.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "zoo/errors.h"

namespace zoo {

inline void check_count(uint64_t n, const char* name = "n") {
  if (n == 0) throw ArgumentError(std::string(name) + ": expected at least 1, got 0");
}

// Throws ArgumentError if path contains a NUL, at which opening the file would cut it off.
inline void check_path(const std::string& path) {
  const size_t end = path.find('\0');
  if (end == std::string::npos) return;
  throw ArgumentError("path: must not contain a NUL, got one after '" + path.substr(0, end) + "'");
}

// Checks that samples first … first + n - 1 have 64-bit indices and that n images fit in memory.
inline void check_range(uint64_t n, uint64_t first, size_t image_bytes) {
  check_count(n);
  if (n - 1 > std::numeric_limits<uint64_t>::max() - first) {
    throw ArgumentError("first + n: sample indices have 64 bits, got first = " +
                        std::to_string(first) + ", n = " + std::to_string(n));
  }
  if (n > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) / image_bytes) {
    throw ArgumentError("n: " + std::to_string(n) + " images do not fit in memory");
  }
}

// Checks the `rows` x `width` values of an argument. A log-variance may be -infinity (no noise):
// allow_minus_infinity.
inline void check_finite(const char* name, const float* values, size_t rows, size_t width,
                         bool allow_minus_infinity = false) {
  for (size_t i = 0; i < rows * width; ++i) {
    if (std::isfinite(values[i])) continue;
    if (allow_minus_infinity && values[i] == -std::numeric_limits<float>::infinity()) continue;
    throw ArgumentError(std::string(name) + ": expected finite values, got " +
                        std::to_string(values[i]) + " at row " + std::to_string(i / width) +
                        ", column " + std::to_string(i % width));
  }
}

}  // namespace zoo
