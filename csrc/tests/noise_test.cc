// Compares Philox, Box-Muller and the operators with known answers and double precision.

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "ops/batched_interpolate.h"
#include "ops/reparametrized_sample.h"
#include "tests/check.h"

namespace {

constexpr double kPi = 3.14159265358979323846;

// kat_vectors of Random123 (Salmon et al., SC 2011), lines philox4x32 10.
void known_answers() {
  struct Vector {
    std::array<uint32_t, 4> counter;
    std::array<uint32_t, 2> key;
    std::array<uint32_t, 4> answer;
  };
  const Vector vectors[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
  for (const Vector& v : vectors) {
    const zoo::Philox4 got = zoo::philox4x32_10(
        {v.counter[0], v.counter[1], v.counter[2], v.counter[3]}, v.key[0], v.key[1]);
    CHECK(got.x == v.answer[0] && got.y == v.answer[1]);
    CHECK(got.z == v.answer[2] && got.w == v.answer[3]);
  }
}

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

void normals_follow_box_muller() {
  double worst = 0.0;
  for (uint64_t sample = 0; sample < 20000; ++sample) {
    const zoo::Philox4 bits = zoo::noise_block(7, sample, 0, 0);
    const zoo::Normal4 n = zoo::normal4(bits);
    const double u = (bits.x + 0.5) / 4294967296.0;
    const double angle = 2.0 * kPi * (bits.y + 0.5) / 4294967296.0;
    const double radius = std::sqrt(-2.0 * std::log(u));
    worst = std::max(worst, std::fabs(n.x - radius * std::sin(angle)));
    worst = std::max(worst, std::fabs(n.y - radius * std::cos(angle)));
  }
  CHECK(worst < 1e-5);
}

void reparametrization() {
  const std::vector<float> mu = {1.0f, -2.0f, 0.5f, 3.0f};
  const std::vector<float> logvar = {0.0f, -3.0f, -std::numeric_limits<float>::infinity(), 2.0f};
  std::vector<float> h(4);
  zoo::reparametrized_sample(mu.data(), logvar.data(), {1, 2, 0}, 2, 2, h.data());
  for (size_t i = 0; i < 4; ++i) {
    const double eps = zoo::normal(1, 2 + i / 2, 0, static_cast<uint32_t>(i % 2));
    CHECK(std::fabs(h[i] - (mu[i] + std::exp(0.5 * logvar[i]) * eps)) < 2e-6);
  }
  CHECK(h[2] == mu[2]);
}

void interpolation() {
  const std::vector<float> a = {1.0f, 0.0f};
  const std::vector<float> b = {0.0f, 1.0f};
  const std::vector<float> t = {0.0f, 0.5f, 1.0f};
  std::vector<float> h(6);
  zoo::batched_interpolate(a.data(), b.data(), t.data(), zoo::Interpolation::kLinear, 1, 3, 2,
                           h.data());
  CHECK(h == (std::vector<float>{1.0f, 0.0f, 0.5f, 0.5f, 0.0f, 1.0f}));
  zoo::batched_interpolate(a.data(), b.data(), t.data(), zoo::Interpolation::kSpherical, 1, 3, 2,
                           h.data());
  CHECK(std::fabs(h[2] - std::sqrt(0.5)) < 1e-6 && std::fabs(h[3] - std::sqrt(0.5)) < 1e-6);
  CHECK(h[0] == 1.0f && h[1] == 0.0f && h[4] == 0.0f && h[5] == 1.0f);
}

}  // namespace

int main() {
  known_answers();
  elementary_functions();
  for (const char* isa : {"baseline", "avx2", "avx512"}) {
    const bool supported = zoo::use_noise_kernel_isa(isa);
    std::printf("kernels %s: %s\n", isa, supported ? "tested" : "not on this machine");
    if (supported) kernels_equal_definition();
  }
  CHECK(!zoo::use_noise_kernel_isa("abacus"));
  normals_follow_box_muller();
  reparametrization();
  interpolation();
  return zoo::test::report();
}
