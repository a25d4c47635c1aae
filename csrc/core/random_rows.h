// Random inputs for measuring a backend.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "zoo/manifest.h"

namespace zoo {

using RowBytes = std::vector<unsigned char>;

// Returns `rows` rows of the input `name`: floats from N(0, 1), levels from N(128, 64²) clipped to
// [0, 255], or class labels in turn. Scales shared by all rows (truncation, noise) are 1. `stream`
// selects the random stream.
RowBytes random_rows(const std::string& name, const Manifest& manifest, size_t rows,
                     uint32_t stream);

}  // namespace zoo
