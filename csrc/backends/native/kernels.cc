#include "backends/native/kernels.h"

#include <atomic>

#include "zoo/errors.h"

namespace zoo::native {

#if defined(__x86_64__)
extern const Kernels kAvx512Kernels;
extern const Kernels kAvx2Kernels;
#endif

namespace {

std::atomic<const Kernels*>& chosen() {
  static std::atomic<const Kernels*> kernels{
      supported_kernels().empty() ? nullptr : supported_kernels().front()};
  return kernels;
}

}  // namespace

const std::vector<const Kernels*>& supported_kernels() {
  static const std::vector<const Kernels*> supported = [] {
    std::vector<const Kernels*> list;
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")) {
      list.push_back(&kAvx512Kernels);
    }
    if (avx2) list.push_back(&kAvx2Kernels);
#endif
    return list;
  }();
  return supported;
}

const Kernels& kernels() {
  const Kernels* const found = chosen().load(std::memory_order_relaxed);
  if (found) return *found;
  throw BackendUnavailableError("backend native needs a CPU with AVX2 and FMA");
}

bool use_kernels(const std::string& isa) {
  for (const Kernels* candidate : supported_kernels()) {
    if (candidate->isa != isa) continue;
    chosen().store(candidate);
    return true;
  }
  return false;
}

}  // namespace zoo::native
