// Compares the kernels of the noise with their scalar definition. tests/runtime/test_noise.py has
// the known answers, tests/export/test_portable_ops.py the elementary functions.

#include <vector>

#include "ops/reparametrized_sample.h"
#include "tests/check.h"

namespace {

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

// Rows with keys of their own, in passes that end within a row and beyond the last one.
void rows_have_keys() {
  for (const size_t width : {1u, 4u, 33u, 130u}) {
    for (const size_t rows : {1u, 2u, 9u, 70u}) {
      std::vector<uint64_t> seeds, firsts;
      for (size_t row = 0; row < rows; ++row) {
        seeds.push_back(row * 0x9e3779b97f4a7c15ull);
        firsts.push_back(0xfffffffeull + row * row);
      }
      std::vector<float> eps(rows * width);
      zoo::fill_normal(zoo::NoiseKeys{seeds.data(), firsts.data(), true, 3}, rows, width,
                       eps.data());
      int different = 0;
      for (size_t i = 0; i < eps.size(); ++i) {
        const float expected =
            zoo::normal(seeds[i / width], firsts[i / width], 3, static_cast<uint32_t>(i % width));
        if (zoo::float_to_bits(expected) != zoo::float_to_bits(eps[i])) ++different;
      }
      CHECK(different == 0);
    }
  }
}

}  // namespace

int main() {
  for (const char* isa : {"baseline", "avx2", "avx512"}) {
    const bool supported = zoo::use_noise_kernel_isa(isa);
    std::printf("kernels %s: %s\n", isa, supported ? "tested" : "not on this machine");
    if (!supported) continue;
    kernels_equal_definition();
    rows_have_keys();
  }
  CHECK(!zoo::use_noise_kernel_isa("abacus"));
  return zoo::test::report();
}
