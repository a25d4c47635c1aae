// Bitwise comparison of the same rows in runs of two sizes.
#pragma once

#include <cstddef>

#include "backends/backend.h"
#include "zoo/manifest.h"

namespace zoo {

// Returns true if random rows come out bit-equal in runs of `more` and of `fewer` rows. The caller
// must own the instance. For backends that take the noise as an input (NoiseFrom::kCaller);
// prepares the backend for both sizes.
bool rows_match_across_sizes(Backend* backend, const Manifest& manifest, size_t instance,
                             size_t fewer, size_t more);

}  // namespace zoo
