// Marks a function as callable from the host and, under nvcc, from the device,
// so that each operator is written once.
#pragma once

#if defined(__CUDACC__)
#define ZOO_HD __host__ __device__ __forceinline__
#elif defined(__GNUC__)
// Forced: a per-ISA kernel may inline a function of the baseline ISA, but a
// call to one would drop back to baseline code.
#define ZOO_HD inline __attribute__((always_inline))
#else
#define ZOO_HD inline
#endif

// Full unrolling: a loop around one that stays a loop does not vectorise.
#define ZOO_PRAGMA(text) _Pragma(#text)
#if defined(__CUDACC__) || defined(__clang__)
#define ZOO_UNROLL(n) ZOO_PRAGMA(unroll n)
#elif defined(__GNUC__)
#define ZOO_UNROLL(n) ZOO_PRAGMA(GCC unroll n)
#else
#define ZOO_UNROLL(n)
#endif
