// Made-up inputs of an engine, to see how its backend behaves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "zoo/manifest.h"

namespace zoo {

using RowBytes = std::vector<unsigned char>;

// Rows of one input: N(0, 1), levels, or classes; 1 for what all rows share.
RowBytes random_rows(const std::string& name, const Manifest& manifest, size_t rows,
                     uint32_t stream);

}  // namespace zoo
