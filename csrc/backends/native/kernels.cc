#include "backends/native/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <atomic>

#include "zoo/errors.h"

namespace zoo::native {

#if defined(__x86_64__)
extern const Kernels kAvx512Kernels;
extern const Kernels kAvx512Bf16Kernels;
extern const Kernels kAvx2Kernels;
#endif

namespace {

// Kernels selected by use_kernels; null: the fastest supported ones.
std::atomic<const Kernels*> chosen{nullptr};

}  // namespace

std::vector<const Kernels*> supported_kernels(const std::string& precision) {
  std::vector<const Kernels*> list;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512bw");
  if (precision == "fp32" && avx512) list.push_back(&kAvx512Kernels);
  if (precision == "fp32" && avx2) list.push_back(&kAvx2Kernels);
  if (precision == "bf16" && avx512 && __builtin_cpu_supports("avx512bf16")) {
    list.push_back(&kAvx512Bf16Kernels);
  }
#endif
  return list;
}

bool has_matrix_units() {
#if defined(__x86_64__)
  // Leaf 7, EDX: AMX-BF16 is bit 22.
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx >> 22 & 1) != 0;
#else
  return false;
#endif
}

const Kernels& kernels(const std::string& precision) {
  const Kernels* const wanted = chosen.load();
  if (wanted && precision == "fp32") return *wanted;
  const auto supported = supported_kernels(precision);
  if (!supported.empty()) return *supported.front();
  throw BackendUnavailableError("backend native: this CPU has no " + precision + ", which needs " +
                                (precision == "fp32" ? "AVX2 and FMA" : "AVX512-BF16") +
                                ": use backend='onnxruntime'");
}

bool use_kernels(const std::string& isa) {
  for (const Kernels* const candidate : supported_kernels("fp32")) {
    if (candidate->isa != isa) continue;
    chosen.store(candidate);
    return true;
  }
  return false;
}

}  // namespace zoo::native
