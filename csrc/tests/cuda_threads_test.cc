// Tests the code of CUDA threads on the CPU: every thread of a grid is compared with the CPU
// operators bit for bit, and the rounding to half precision with its definition.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "ops/half_float.h"
#include "ops/image_levels.h"
#include "ops/interpolate_parts.h"
#include "ops/sample_thread.h"
#include "tests/check.h"

namespace {

using zoo::BFloat16;
using zoo::Float16;

// Converts half precision to double by the definition of IEEE 754.
double to_double(Float16 half) {
  const int exponent = (half.bits >> 10) & 31;
  const int fraction = half.bits & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return half.bits & 0x8000 ? -magnitude : magnitude;
}

double to_double(BFloat16 half) {
  return zoo::bits_to_float(static_cast<uint32_t>(half.bits) << 16);
}

// Half precision numbers convert to themselves, others to the nearest, ties to even.
template <typename Half>
void rounding(uint16_t infinity) {
  bool exact = true;
  bool nearest = true;
  bool even = true;
  for (uint32_t bits = 0; bits < infinity; ++bits) {
    for (const uint32_t sign : {0u, 0x8000u}) {
      const Half low{static_cast<uint16_t>(bits | sign)};
      exact = exact && zoo::from_float<Half>(static_cast<float>(to_double(low))).bits == low.bits;
      if (bits + 1u == infinity) continue;
      const Half high{static_cast<uint16_t>((bits + 1) | sign)};
      // The middle and its neighbours are exact, as a float has more digits.
      const auto middle = static_cast<float>((to_double(low) + to_double(high)) / 2);
      const float inside = std::nextafter(middle, 0.0f);
      const float outside = std::nextafter(middle, middle > 0 ? INFINITY : -INFINITY);
      nearest = nearest && zoo::from_float<Half>(inside).bits == low.bits &&
                zoo::from_float<Half>(outside).bits == high.bits;
      even = even && zoo::from_float<Half>(middle).bits == (bits % 2 ? high.bits : low.bits);
    }
  }
  CHECK(exact);
  CHECK(nearest);
  CHECK(even);
  CHECK(zoo::from_float<Half>(INFINITY).bits == infinity);
  CHECK(zoo::from_float<Half>(-INFINITY).bits == (infinity | 0x8000));
  CHECK((zoo::from_float<Half>(NAN).bits & 0x7fff) > infinity);
}

void overflow() {
  CHECK(zoo::from_float<Float16>(65504.0f).bits == 0x7bff);
  CHECK(zoo::from_float<Float16>(65519.99f).bits == 0x7bff);
  CHECK(zoo::from_float<Float16>(65520.0f).bits == 0x7c00);
  CHECK(zoo::from_float<Float16>(1e30f).bits == 0x7c00);
  CHECK(zoo::from_float<BFloat16>(3.4e38f).bits == 0x7f80);
}

constexpr uint8_t kUntouched = 0xa5;

template <typename Out, bool Vector, typename Index>
void sample_case(size_t rows, size_t width, bool with_mu, bool with_logvar, bool per_row) {
  std::vector<uint64_t> seeds, firsts;
  for (size_t row = 0; row < (per_row ? rows : 1); ++row) {
    seeds.push_back(0x123456789abcdefull * (row + 1));
    firsts.push_back((uint64_t{1} << 32) - 2 + 5 * row);
  }
  const zoo::NoiseKeys keys{seeds.data(), firsts.data(), per_row, 3};
  std::vector<float> mu(rows * width), logvar(rows * width), expected(rows * width);
  for (size_t i = 0; i < mu.size(); ++i) {
    mu[i] = with_mu ? std::sin(static_cast<float>(i)) : 0.0f;
    logvar[i] = with_logvar ? std::cos(static_cast<float>(i)) * 3 : 0.0f;
  }
  if (with_logvar && width > 2) logvar[2] = -INFINITY;
  zoo::reparametrized_sample(mu.data(), logvar.data(), keys, rows, width, expected.data());
  // Aligned like device memory, with 16 more bytes, which must not be written.
  const size_t bytes = rows * width * sizeof(Out);
  std::vector<zoo::SamplePack<Out>> memory(bytes / 16 + 2);
  std::memset(static_cast<void*>(memory.data()), kUntouched, memory.size() * 16);
  Out* h = memory[0].values;
  const zoo::SampleArguments<Out> arguments{
      with_mu ? mu.data() : nullptr, with_logvar ? logvar.data() : nullptr, keys, rows, width, h};
  const size_t threads = zoo::sample_threads<Out>(rows, width);
  // Backwards, because the order must not matter.
  for (size_t thread = threads; thread-- > 0;) {
    zoo::sample_thread<Out, Vector, Index>(arguments, static_cast<Index>(thread));
  }
  bool equal = true;
  for (size_t i = 0; i < rows * width; ++i) {
    const Out rounded = zoo::from_float<Out>(expected[i]);
    equal = equal && std::memcmp(&h[i], &rounded, sizeof(Out)) == 0;
  }
  CHECK(equal);
  const auto* tail = reinterpret_cast<const uint8_t*>(h) + bytes;
  bool untouched = true;
  for (size_t i = 0; i < 16; ++i) untouched = untouched && tail[i] == kUntouched;
  CHECK(untouched);
}

template <typename Out>
void samples() {
  for (const size_t rows : {1, 2, 7}) {
    for (const size_t width : {1, 3, 4, 5, 8, 9, 64, 100, 1568}) {
      for (const bool with_mu : {false, true}) {
        for (const bool with_logvar : {false, true}) {
          for (const bool per_row : {false, true}) {
            sample_case<Out, false, uint32_t>(rows, width, with_mu, with_logvar, per_row);
            sample_case<Out, false, uint64_t>(rows, width, with_mu, with_logvar, per_row);
            if (width % zoo::kSampleLanes<Out> == 0) {
              sample_case<Out, true, uint32_t>(rows, width, with_mu, with_logvar, per_row);
              sample_case<Out, true, uint64_t>(rows, width, with_mu, with_logvar, per_row);
            }
          }
        }
      }
    }
  }
}

void levels() {
  for (const size_t channels : {1, 3, 4}) {
    for (const size_t pixels : {1, 3, 4, 49, 64}) {
      const size_t rows = 3;
      std::vector<float> images(rows * channels * pixels);
      for (size_t i = 0; i < images.size(); ++i) {
        images[i] = -0.1f + 1.2f * static_cast<float>(i) / static_cast<float>(images.size());
      }
      std::vector<uint8_t> out(images.size() + 1, kUntouched);
      const zoo::LevelArguments arguments{images.data(), rows, channels, pixels, out.data()};
      for (size_t thread = 0; thread < zoo::level_threads(arguments); ++thread) {
        zoo::level_thread(arguments, thread);
      }
      bool equal = true;
      for (size_t row = 0; row < rows; ++row) {
        for (size_t channel = 0; channel < channels; ++channel) {
          for (size_t pixel = 0; pixel < pixels; ++pixel) {
            const float x = images[(row * channels + channel) * pixels + pixel];
            const double level = std::floor(static_cast<double>(x * 255.0f + 0.5f));
            const double limited = std::fmin(std::fmax(level, 0.0), 255.0);
            equal = equal && out[(row * pixels + pixel) * channels + channel] == limited;
          }
        }
      }
      CHECK(equal);
      CHECK(out.back() == kUntouched);
    }
  }
  CHECK(zoo::image_level(NAN) == 0);
  CHECK(zoo::image_level(INFINITY) == 255);
}

// The blocks cover each value exactly once, and are enough to fill a GPU if there are enough
// values, even in a single row.
void interpolation() {
  for (const size_t rows : {1, 2, 7, 2047, 2048, 5000}) {
    for (const size_t steps : {1, 2, 255, 256, 257, 1000}) {
      for (const size_t width : {1, 3, 64, 512}) {
        const size_t values = steps * width;
        const size_t parts = zoo::interpolate_parts(rows, steps, width);
        bool covered = parts > 0;
        for (const size_t row : {size_t{0}, rows - 1}) {
          size_t next = 0;
          for (size_t part = 0; part < parts; ++part) {
            const auto range = zoo::interpolate_part(row * parts + part, parts, steps, width);
            covered = covered && range.row == row && range.begin == next && range.end >= next;
            next = range.end;
          }
          covered = covered && next == values;
        }
        CHECK(covered);
        const size_t possible = rows * (values / zoo::kInterpolateValues);
        CHECK(rows * parts >= std::min(possible, zoo::kInterpolateBlocks));
        CHECK(rows < zoo::kInterpolateBlocks || parts == 1);
      }
    }
  }
  CHECK(zoo::interpolate_parts(1, 1024, 512) == zoo::kInterpolateBlocks);
}

}  // namespace

int main() {
  rounding<Float16>(0x7c00);
  rounding<BFloat16>(0x7f80);
  overflow();
  samples<float>();
  samples<Float16>();
  samples<BFloat16>();
  levels();
  interpolation();
  return zoo::test::report();
}
