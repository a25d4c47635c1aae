// Compares the elementary functions of the noise with double precision, and its kernels with their
// scalar definition. tests/runtime/test_noise.py has the known answers and the operators.

#include <cmath>
#include <limits>
#include <vector>

#include "ops/reparametrized_sample.h"
#include "tests/check.h"

namespace {

constexpr double kPi = 3.14159265358979323846;

double ulps(float got, double expected) {
  const float near = std::fabs(static_cast<float>(expected));
  const double ulp = std::nextafter(near, std::numeric_limits<float>::infinity()) - near;
  return std::fabs(static_cast<double>(got) - expected) / ulp;
}

void elementary_functions() {
  double worst_log = 0.0;
  double worst_exp = 0.0;
  double worst_sin = 0.0;
  for (uint32_t i = 0; i < 2000000; ++i) {
    const uint32_t word = i * 2147u + 11u;
    const float u = static_cast<float>(word) * 0x1p-32f + 0x1p-33f;
    worst_log = std::max(worst_log, ulps(zoo::exact_log(u), std::log(static_cast<double>(u))));
    const float x = -86.0f + 172.0f * static_cast<float>(i) / 2000000.0f;
    worst_exp = std::max(worst_exp, ulps(zoo::exact_exp(x), std::exp(static_cast<double>(x))));
    float sine = 0.0f;
    float cosine = 0.0f;
    zoo::exact_sincos_turn(word, &sine, &cosine);
    const double angle = 2.0 * kPi * (word + 0.5) / 4294967296.0;
    worst_sin = std::max(worst_sin, std::fabs(sine - std::sin(angle)));
    worst_sin = std::max(worst_sin, std::fabs(cosine - std::cos(angle)));
  }
  std::printf("worst error: log %.2f ulp, exp %.2f ulp, sin and cos %.1e\n", worst_log, worst_exp,
              worst_sin);
  CHECK(worst_log < 2.0);
  CHECK(worst_exp < 2.0);
  CHECK(worst_sin < 1.5e-7);
  CHECK(zoo::exact_exp(0.0f) == 1.0f);
  CHECK(zoo::exact_exp(-std::numeric_limits<float>::infinity()) == 0.0f);
  CHECK(std::isfinite(zoo::exact_exp(std::numeric_limits<float>::infinity())));
  CHECK(std::isnan(zoo::exact_exp(std::numeric_limits<float>::quiet_NaN())));
}

// The vector kernels give the bits of the scalar definition at every width and place, across the
// 32- and 64-bit boundaries of the sample index.
void kernels_equal_definition() {
  const uint64_t firsts[] = {0, 5, 0xfffffffeull, 0xfffffffffffffff0ull};
  for (const uint64_t first : firsts) {
    for (const size_t width : {1u, 3u, 4u, 5u, 32u, 33u, 130u}) {
      const size_t rows = 9;
      std::vector<float> eps(rows * width);
      zoo::fill_normal({0x123456789abcdef0ull, first, 3}, rows, width, eps.data());
      int different = 0;
      for (size_t i = 0; i < eps.size(); ++i) {
        const float expected = zoo::normal(0x123456789abcdef0ull, first + i / width, 3,
                                           static_cast<uint32_t>(i % width));
        if (zoo::float_to_bits(expected) != zoo::float_to_bits(eps[i])) ++different;
      }
      CHECK(different == 0);
    }
  }
}

}  // namespace

int main() {
  elementary_functions();
  for (const char* isa : {"baseline", "avx2", "avx512"}) {
    const bool supported = zoo::use_noise_kernel_isa(isa);
    std::printf("kernels %s: %s\n", isa, supported ? "tested" : "not on this machine");
    if (supported) kernels_equal_definition();
  }
  CHECK(!zoo::use_noise_kernel_isa("abacus"));
  return zoo::test::report();
}
