// Kernels of the emulated devices.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/batched_interpolate.h"
#include "ops/cuda_ops.h"
#include "ops/half_float.h"
#include "ops/image_levels.h"
#include "ops/reparametrized_sample.h"
#include "ops/sample_thread.h"

namespace zoo::host_cuda {

template <typename Out>
void draw(const SampleArguments<Out>& arguments) {
  for (size_t thread = 0; thread < sample_threads<Out>(arguments.rows, arguments.width); ++thread) {
    sample_thread<Out, false, size_t>(arguments, thread);
  }
}

template <typename Out>
void interpolate(const float* a, const float* b, const float* t, Interpolation mode, size_t rows,
                 size_t steps, size_t width, Out* h) {
  std::vector<float> path(rows * steps * width);
  batched_interpolate(a, b, t, mode, rows, steps, width, path.data());
  for (size_t i = 0; i < path.size(); ++i) h[i] = from_float<Out>(path[i]);
}

inline void to_levels(const LevelArguments& arguments) {
  for (size_t thread = 0; thread < level_threads(arguments); ++thread)
    level_thread(arguments, thread);
}

// Returns call(h cast to its type), or a message for an unknown type.
template <typename Call>
const char* with_type(Real real, void* h, const Call& call) {
  if (real == Real::kFloat32) return call(static_cast<float*>(h));
  if (real == Real::kFloat16) return call(static_cast<Float16*>(h));
  if (real == Real::kBFloat16) return call(static_cast<BFloat16*>(h));
  return "h: unknown type";
}

}  // namespace zoo::host_cuda
