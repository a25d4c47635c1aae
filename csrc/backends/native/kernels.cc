#include "backends/native/kernels.h"

#include <atomic>

#include "backends/native/matrix_units.h"
#include "zoo/errors.h"

namespace zoo::native {

#if defined(__x86_64__)
extern const Kernels kAvx512Kernels;
extern const Kernels kAvx512Bf16Kernels;
extern const Kernels kAvx512VnniKernels;
extern const Kernels kAvx2Kernels;
#elif defined(__aarch64__)
extern const Kernels kNeonKernels;
#endif

namespace {

struct Choice {
  const char* precision;
  // Kernels selected by use_kernels; null: the fastest supported ones.
  std::atomic<const Kernels*> kernels{nullptr};
};

Choice choices[] = {{"fp32"}, {"bf16"}, {"int8"}};

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
    if (request_matrix_units()) list.push_back(&matrix_kernels());
    list.push_back(&kAvx512Bf16Kernels);
  }
  if (precision == "int8" && avx512 && __builtin_cpu_supports("avx512vnni")) {
    if (request_matrix_units()) list.push_back(&byte_matrix_kernels());
    list.push_back(&kAvx512VnniKernels);
  }
#elif defined(__aarch64__)
  if (precision == "fp32") list.push_back(&kNeonKernels);
#endif
  return list;
}

const Kernels& kernels(const std::string& precision) {
  for (const Choice& choice : choices) {
    const Kernels* const chosen = choice.kernels.load();
    if (chosen && precision == choice.precision) return *chosen;
  }
  const auto supported = supported_kernels(precision);
  if (!supported.empty()) return *supported.front();
  throw BackendUnavailableError("backend native: this CPU has no " + precision + ", which needs " +
                                (precision == "fp32"   ? "AVX2 and FMA"
                                 : precision == "bf16" ? "AVX512-BF16"
                                                       : "AVX512-VNNI") +
                                ": use backend='onnxruntime'");
}

bool use_kernels(const std::string& isa) {
  for (Choice& choice : choices) {
    for (const Kernels* const candidate : supported_kernels(choice.precision)) {
      if (candidate->isa != isa) continue;
      choice.kernels.store(candidate);
      return true;
    }
  }
  return false;
}

}  // namespace zoo::native
