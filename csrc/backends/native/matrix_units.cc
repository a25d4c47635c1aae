#include "backends/native/matrix_units.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace zoo::native {

bool has_matrix_units() {
#if defined(__x86_64__)
  // Leaf 7, EDX: AMX-BF16 is bit 22, AMX-TILE bit 24, AMX-INT8 bit 25.
  constexpr unsigned kBits = 1u << 22 | 1u << 24 | 1u << 25;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx & kBits) == kBits;
#else
  return false;
#endif
}

bool request_matrix_units() {
#if defined(__x86_64__) && defined(__linux__)
  // arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA): Linux, Documentation/arch/x86/xstate.rst.
  constexpr long kRequest = 0x1023, kTileData = 18;
  static const bool granted =
      has_matrix_units() && syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
  return granted;
#else
  return false;
#endif
}

}  // namespace zoo::native
