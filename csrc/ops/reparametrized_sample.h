// ReparametrizedSample(mu[N,D], logvar[N,D], seed[K], first[K]; stream) -> h[N,D], K = 1 or N:
// h = mu + exp(logvar/2) * eps, Kingma & Welling 2013, section 2.4.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "ops/box_muller.h"
#include "zoo/export.h"

namespace zoo {

// One element; eps = normal(seed, sample, stream, element).
ZOO_HD float reparametrize(float mu, float logvar, float eps) {
  return mu + exact_exp(0.5f * logvar) * eps;
}

struct NoiseKey {
  uint64_t seed = 0;
  uint64_t first = 0;   // index of the sample in row 0 in the whole run
  uint32_t stream = 0;  // each place in the model that draws noise has its own
};

// Keys of the rows of a run, in the memory of the device that draws. Row r is sample first[r] of
// seed[r], or sample first[0] + r of seed[0] if there is one key for all rows.
struct NoiseKeys {
  const uint64_t* seed;
  const uint64_t* first;
  bool per_row;
  uint32_t stream;

  ZOO_HD uint64_t seed_of(size_t row) const { return seed[per_row ? row : 0]; }
  ZOO_HD uint64_t sample_of(size_t row) const { return per_row ? first[row] : *first + row; }
};

// Fills eps[rows, width], row-major: row r is sample first + r (modulo 2^64).
ZOO_API void fill_normal(NoiseKey key, size_t rows, size_t width, float* eps);
ZOO_API void fill_normal(const NoiseKeys& keys, size_t rows, size_t width, float* eps);

// Computes h[rows, width] from mu and logvar of the same shape. A log-variance of -infinity gives
// exactly h = mu.
ZOO_API void reparametrized_sample(const float* mu, const float* logvar, NoiseKey key, size_t rows,
                                   size_t width, float* h);
ZOO_API void reparametrized_sample(const float* mu, const float* logvar, const NoiseKeys& keys,
                                   size_t rows, size_t width, float* h);

// Name of the instruction set that the kernels above use on this machine.
ZOO_API const char* noise_kernel_isa();

// Switches to the kernels for another instruction set, "avx512", "avx2" or "baseline", which give
// the same bits. For tests and benchmarks. Returns false if this machine does not support it.
ZOO_API bool use_noise_kernel_isa(const std::string& isa);

}  // namespace zoo
