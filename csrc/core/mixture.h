// Samples of the learned prior (zoo/manifest.h, Mixture).
#pragma once

#include <cstddef>
#include <cstdint>

#include "zoo/manifest.h"

namespace zoo {

// Computes latents [rows, latent_width] of images first … first + rows - 1 of a seed.
void sample_mixture(const Manifest& manifest, uint64_t seed, uint64_t first, size_t rows,
                    float* latents);

}  // namespace zoo
