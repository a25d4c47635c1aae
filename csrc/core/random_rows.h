// Random inputs for measurements of a backend.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "zoo/manifest.h"

namespace zoo {

using RowBytes = std::vector<unsigned char>;

// Draws the rows of one input: floats from N(0, 1), levels, or labels; 1 for scales that all rows
// share.
RowBytes random_rows(const std::string& name, const Manifest& manifest, size_t rows,
                     uint32_t stream);

}  // namespace zoo
