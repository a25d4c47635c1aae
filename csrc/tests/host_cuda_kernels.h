// What the kernels of emulated devices do, when it is their turn.
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

// As a GPU's threads do it.
template <typename Out>
void draw(const SampleArguments<Out>& given) {
  for (size_t thread = 0; thread < sample_threads<Out>(given.rows, given.width); ++thread) {
    sample_thread<Out, false, size_t>(given, thread);
  }
}

template <typename Out>
void interpolate(const float* a, const float* b, const float* t, Interpolation mode, size_t rows,
                 size_t steps, size_t width, Out* h) {
  std::vector<float> path(rows * steps * width);
  batched_interpolate(a, b, t, mode, rows, steps, width, path.data());
  for (size_t i = 0; i < path.size(); ++i) h[i] = from_float<Out>(path[i]);
}

inline void to_levels(const LevelArguments& given) {
  for (size_t thread = 0; thread < level_threads(given); ++thread) level_thread(given, thread);
}

// call(h as a pointer to its type), or what is wrong with the type.
template <typename Call>
const char* with_type(Real real, void* h, const Call& call) {
  if (real == Real::kFloat32) return call(static_cast<float*>(h));
  if (real == Real::kFloat16) return call(static_cast<Float16*>(h));
  if (real == Real::kBFloat16) return call(static_cast<BFloat16*>(h));
  return "h: unknown type";
}

}  // namespace zoo::host_cuda
