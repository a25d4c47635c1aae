// Whether a library gives a row the same bits in runs of two sizes.
#pragma once

#include <cstddef>

#include "backends/backend.h"
#include "zoo/manifest.h"

namespace zoo {

// Runs random rows as `more` at a time and as `fewer`, in this instance, which nobody else uses
// meanwhile, and compares them bit for bit. For a backend that is given the noise
// (NoiseFrom::kCaller); prepares it for both sizes.
bool rows_stand_alone(Backend* backend, const Manifest& manifest, size_t instance, size_t fewer,
                      size_t more);

}  // namespace zoo
