// How the CUDA kernel of BatchedInterpolate shares its work among blocks. For the host, too: a test
// looks at every block of a grid.
#pragma once

#include <cstddef>

#include "ops/hd.h"

namespace zoo {

// Blocks that no GPU has room for at a time: with as many, all of it works.
constexpr size_t kInterpolateBlocks = 2048;
// Values that are worth a block, which needs the way's angle before its first one.
constexpr size_t kInterpolateValues = 256;

// The values [begin, end) of the steps * width of a row.
struct InterpolatePart {
  size_t row;
  size_t begin;
  size_t end;
};

// Parts of each row: one where there are rows enough, many for a single long way.
ZOO_HD size_t interpolate_parts(size_t rows, size_t steps, size_t width) {
  const size_t wanted = (kInterpolateBlocks + rows - 1) / rows;
  const size_t most = (steps * width + kInterpolateValues - 1) / kInterpolateValues;
  return wanted < most ? wanted : most;
}

ZOO_HD InterpolatePart interpolate_part(size_t block, size_t parts, size_t steps, size_t width) {
  const size_t values = steps * width;
  const size_t size = (values + parts - 1) / parts;
  const size_t row = block / parts;
  const size_t begin = (block - row * parts) * size;
  const size_t end = begin + size;
  return {row, begin < values ? begin : values, end < values ? end : values};
}

}  // namespace zoo
