#include "ops/reparametrized_sample.h"

#include <algorithm>
#include <atomic>
#include <vector>

// The same source is compiled once per instruction set. Without contraction to fused multiply-adds,
// every vector width gives the same bits.
#if defined(__x86_64__) && defined(__GNUC__)
#define ZOO_X86_KERNELS 1
#define ZOO_TARGET_AVX512 \
  __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,avx2,prefer-vector-width=512")))
#define ZOO_TARGET_AVX2 __attribute__((target("avx2")))
#endif

namespace zoo {
namespace {

// The working set of one pass stays in the first-level cache, whether samples are short (a latent)
// or long (a noise map).
constexpr size_t kBlocksPerPass = 64;

// A structure of arrays, so that the compiler vectorises over blocks.
struct Pass {
  uint64_t seed[kBlocksPerPass];
  uint64_t sample[kBlocksPerPass];
  uint32_t block[kBlocksPerPass];
  float lane[4][kBlocksPerPass];
};

// One seed for all rows is known before the loop, which keeps it in a register.
template <bool PerRow>
ZOO_HD void normal_pass(const NoiseKeys& keys, Pass* pass) {
  const uint64_t seed = *keys.seed;
  const uint32_t stream = keys.stream;
#pragma omp simd
  for (size_t i = 0; i < kBlocksPerPass; ++i) {
    const Normal4 n = normal4(
        noise_block(PerRow ? pass->seed[i] : seed, pass->sample[i], stream, pass->block[i]));
    pass->lane[0][i] = n.x;
    pass->lane[1][i] = n.y;
    pass->lane[2][i] = n.z;
    pass->lane[3][i] = n.w;
  }
}

// Fills eps[rows, width] in row-major order, a pass at a time.
template <bool PerRow>
ZOO_HD void fill_body(const NoiseKeys& keys, size_t rows, size_t width, float* eps) {
  const size_t blocks_per_row = (width + 3) / 4;
  const size_t total = rows * blocks_per_row;
  Pass pass;
  size_t row = 0;
  size_t block = 0;
  for (size_t done = 0; done < total; done += kBlocksPerPass) {
    const size_t count = std::min(kBlocksPerPass, total - done);
    const size_t start_row = row;
    const size_t start_block = block;
    for (size_t i = 0; i < kBlocksPerPass; ++i) {
      // The last pass goes beyond the last row, which has no key.
      const size_t known = std::min(row, rows - 1);
      if (PerRow) pass.seed[i] = keys.seed_of(known);
      pass.sample[i] = keys.sample_of(PerRow ? known : row);
      pass.block[i] = static_cast<uint32_t>(block);
      if (++block == blocks_per_row) {
        block = 0;
        ++row;
      }
    }
    normal_pass<PerRow>(keys, &pass);
    row = start_row;
    block = start_block;
    for (size_t i = 0; i < count; ++i) {
      const size_t element = block * 4;
      float* out = eps + row * width + element;
      const size_t lanes = std::min<size_t>(4, width - element);
      for (size_t lane = 0; lane < lanes; ++lane) out[lane] = pass.lane[lane][i];
      if (++block == blocks_per_row) {
        block = 0;
        ++row;
      }
    }
  }
}

ZOO_HD void fill(const NoiseKeys& keys, size_t rows, size_t width, float* eps) {
  if (keys.per_row) {
    fill_body<true>(keys, rows, width, eps);
  } else {
    fill_body<false>(keys, rows, width, eps);
  }
}

ZOO_HD void reparametrize_body(const float* mu, const float* logvar, size_t count, float* h) {
#pragma omp simd
  for (size_t i = 0; i < count; ++i) h[i] = reparametrize(mu[i], logvar[i], h[i]);
}

struct Kernels {
  const char* isa;
  void (*fill)(const NoiseKeys&, size_t, size_t, float*);
  void (*reparametrize)(const float*, const float*, size_t, float*);
};

void fill_baseline(const NoiseKeys& keys, size_t rows, size_t width, float* eps) {
  fill(keys, rows, width, eps);
}
void reparametrize_baseline(const float* mu, const float* logvar, size_t count, float* h) {
  reparametrize_body(mu, logvar, count, h);
}

#ifdef ZOO_X86_KERNELS
ZOO_TARGET_AVX2 void fill_avx2(const NoiseKeys& keys, size_t rows, size_t width, float* eps) {
  fill(keys, rows, width, eps);
}
ZOO_TARGET_AVX2 void reparametrize_avx2(const float* mu, const float* logvar, size_t count,
                                        float* h) {
  reparametrize_body(mu, logvar, count, h);
}
ZOO_TARGET_AVX512 void fill_avx512(const NoiseKeys& keys, size_t rows, size_t width, float* eps) {
  fill(keys, rows, width, eps);
}
ZOO_TARGET_AVX512 void reparametrize_avx512(const float* mu, const float* logvar, size_t count,
                                            float* h) {
  reparametrize_body(mu, logvar, count, h);
}
#endif

// Kernels for this machine, best first. Never destroyed, because exit handlers may sample.
const std::vector<Kernels>& supported_kernels() {
  static const auto* const supported = [] {
    auto* const list = new std::vector<Kernels>;
#ifdef ZOO_X86_KERNELS
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")) {
      list->push_back({"avx512", fill_avx512, reparametrize_avx512});
    }
    if (__builtin_cpu_supports("avx2")) {
      list->push_back({"avx2", fill_avx2, reparametrize_avx2});
    }
#endif
    list->push_back({"baseline", fill_baseline, reparametrize_baseline});
    return list;
  }();
  return *supported;
}

std::atomic<const Kernels*>& chosen_kernels() {
  static std::atomic<const Kernels*> chosen{&supported_kernels().front()};
  return chosen;
}

NoiseKeys keys_of(const NoiseKey& key) { return {&key.seed, &key.first, false, key.stream}; }

const Kernels& kernels() { return *chosen_kernels().load(std::memory_order_relaxed); }

}  // namespace

void fill_normal(const NoiseKeys& keys, size_t rows, size_t width, float* eps) {
  if (rows != 0 && width != 0) kernels().fill(keys, rows, width, eps);
}

void fill_normal(NoiseKey key, size_t rows, size_t width, float* eps) {
  fill_normal(keys_of(key), rows, width, eps);
}

void reparametrized_sample(const float* mu, const float* logvar, const NoiseKeys& keys, size_t rows,
                           size_t width, float* h) {
  fill_normal(keys, rows, width, h);
  kernels().reparametrize(mu, logvar, rows * width, h);
}

void reparametrized_sample(const float* mu, const float* logvar, NoiseKey key, size_t rows,
                           size_t width, float* h) {
  reparametrized_sample(mu, logvar, keys_of(key), rows, width, h);
}

const char* noise_kernel_isa() { return kernels().isa; }

bool use_noise_kernel_isa(const std::string& isa) {
  for (const Kernels& candidate : supported_kernels()) {
    if (candidate.isa != isa) continue;
    chosen_kernels().store(&candidate);
    return true;
  }
  return false;
}

}  // namespace zoo
