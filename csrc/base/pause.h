// Waiting in a loop.
#pragma once

namespace zoo {

// Tells the processor that the thread waits in a loop.
inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace zoo
