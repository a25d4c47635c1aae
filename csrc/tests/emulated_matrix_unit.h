// The instructions of AMX that the native backend's tiles use, emulated as the Intel SDM (volume 2)
// defines them, with checks that operands and configuration are valid.
#pragma once

#include <cmath>
#include <cstring>
#include <limits>

#include "backends/native/kernels/matrix_tiles.h"
#include "check.h"

namespace zoo::test {

struct TileRegister {
  size_t rows = 0;
  size_t row_bytes = 0;
  unsigned char bytes[16][64] = {};
};

class EmulatedMatrixUnit {
 public:
  using Operands = native::Bfloat16Operands;

  // LDTILECFG: zeroes the registers. Invalid configurations raise #GP on a CPU.
  static void configure(const native::TileConfiguration& configuration) {
    unsigned char bytes[64];
    std::memcpy(bytes, &configuration, sizeof bytes);
    CHECK(bytes[0] == 1 && bytes[1] == 0);
    for (int i = 2; i < 16; ++i) CHECK(bytes[i] == 0);
    for (int i = 0; i < kRegisters; ++i) {
      TileRegister& at = registers[i];
      at = {};
      at.row_bytes = static_cast<size_t>(bytes[16 + 2 * i] | bytes[17 + 2 * i] << 8);
      at.rows = bytes[48 + i];
      CHECK(at.row_bytes <= 64 && at.rows <= 16 && (at.row_bytes == 0) == (at.rows == 0));
    }
    for (int i = 32; i < 48; ++i) CHECK(bytes[i] == 0);
    for (int i = 56; i < 64; ++i) CHECK(bytes[i] == 0);
    configured = true;
  }

  // TILERELEASE.
  static void release() { configured = false; }

  // TILELOADD.
  template <int Index>
  static void load(const void* from, size_t stride) {
    TileRegister& to = registers[Index];
    CHECK(configured && to.rows != 0);
    for (size_t row = 0; row < to.rows; ++row) {
      std::memcpy(to.bytes[row], static_cast<const char*>(from) + row * stride, to.row_bytes);
    }
  }

  // TILESTORED.
  template <int Index>
  static void store(void* to, size_t stride) {
    const TileRegister& from = registers[Index];
    CHECK(configured && from.rows != 0);
    for (size_t row = 0; row < from.rows; ++row) {
      std::memcpy(static_cast<char*>(to) + row * stride, from.bytes[row], from.row_bytes);
    }
  }

  // TDPBF16PS.
  template <int Sums, int First, int Second>
  static void multiply() {
    const TileRegister &a = registers[First], &b = registers[Second];
    check_operands(Sums, First, Second);
    update<float>(&registers[Sums], [&](size_t m, size_t n, float sum) {
      float even = 0, odd = 0;
      for (size_t k = 0; k < a.row_bytes / 4; ++k) {
        even = add_product(even, number(a, m, 2 * k), number(b, k, 2 * n));
        odd = add_product(odd, number(a, m, 2 * k + 1), number(b, k, 2 * n + 1));
      }
      return flushed(sum + flushed(even + odd));
    });
  }

 protected:
  static constexpr int kRegisters = 8;

  // Invalid operands raise #UD on a CPU.
  static void check_operands(int sums, int first, int second) {
    const TileRegister &c = registers[sums], &a = registers[first], &b = registers[second];
    CHECK(configured && sums != first && sums != second && first != second);
    CHECK(c.rows == a.rows && c.row_bytes == b.row_bytes && a.row_bytes == 4 * b.rows);
    CHECK(a.row_bytes % 4 == 0 && b.row_bytes % 4 == 0);
  }

  // Replaces each sum of a register by change(row, column, sum).
  template <typename Sum, typename Change>
  static void update(TileRegister* sums, const Change& change) {
    for (size_t m = 0; m < sums->rows; ++m) {
      for (size_t n = 0; n < sums->row_bytes / sizeof(Sum); ++n) {
        Sum sum;
        std::memcpy(&sum, sums->bytes[m] + sizeof sum * n, sizeof sum);
        sum = change(m, n, sum);
        std::memcpy(sums->bytes[m] + sizeof sum * n, &sum, sizeof sum);
      }
    }
  }

  inline static thread_local TileRegister registers[kRegisters];

 private:
  // Denormal numbers are read as 0, and results that are denormal become 0.
  static float flushed(float value) {
    return std::abs(value) < std::numeric_limits<float>::min() ? 0 : value;
  }

  static float add_product(float sum, float a, float b) {
    return flushed(std::fma(flushed(a), flushed(b), sum));
  }

  static float number(const TileRegister& from, size_t row, size_t index) {
    uint16_t half;
    std::memcpy(&half, from.bytes[row] + 2 * index, sizeof half);
    const uint32_t bits = static_cast<uint32_t>(half) << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }

  inline static thread_local bool configured = false;
};

class EmulatedByteUnit : public EmulatedMatrixUnit {
 public:
  using Operands = native::ByteOperands;

  // TDPBUSD: unsigned bytes of the first register, signed bytes of the second one.
  template <int Sums, int First, int Second>
  static void multiply() {
    const TileRegister &a = registers[First], &b = registers[Second];
    check_operands(Sums, First, Second);
    update<int32_t>(&registers[Sums], [&](size_t m, size_t n, int32_t sum) {
      for (size_t k = 0; k < a.row_bytes; ++k) {
        sum += a.bytes[m][k] * static_cast<int8_t>(b.bytes[k / 4][4 * n + k % 4]);
      }
      return sum;
    });
  }
};

}  // namespace zoo::test
