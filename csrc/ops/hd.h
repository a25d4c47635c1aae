// Marks functions that are compiled for the host and, under nvcc, for the device, so that each
// operator is written once.
#pragma once

#if defined(__CUDACC__)
#define ZOO_HD __host__ __device__ __forceinline__
#elif defined(__GNUC__)
// Always inlined, because a call from a kernel for another instruction set would run baseline code.
#define ZOO_HD inline __attribute__((always_inline))
#else
#define ZOO_HD inline
#endif

// Full unrolling: a loop around one that is not unrolled does not vectorise.
#define ZOO_PRAGMA(text) _Pragma(#text)
#if defined(__CUDACC__) || defined(__clang__)
#define ZOO_UNROLL(n) ZOO_PRAGMA(unroll n)
#elif defined(__GNUC__)
#define ZOO_UNROLL(n) ZOO_PRAGMA(GCC unroll n)
#else
#define ZOO_UNROLL(n)
#endif
