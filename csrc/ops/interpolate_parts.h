// Partition of the work of the CUDA kernel of BatchedInterpolate among blocks. Also compiled for
// the host, where a test checks every block of a grid.
#pragma once

#include <cstddef>

#include "ops/hd.h"

namespace zoo {

// More blocks than any GPU can run at a time, so that all of it is busy.
constexpr size_t kInterpolateBlocks = 2048;
// Least values per block, since each block first computes the angle.
constexpr size_t kInterpolateValues = 256;

// Values [begin, end) of the steps * width values of a row.
struct InterpolatePart {
  size_t row;
  size_t begin;
  size_t end;
};

// Number of parts per row: one if there are many rows, many for a single long row.
ZOO_HD size_t interpolate_parts(size_t rows, size_t steps, size_t width) {
  const size_t target = (kInterpolateBlocks + rows - 1) / rows;
  const size_t limit = (steps * width + kInterpolateValues - 1) / kInterpolateValues;
  return target < limit ? target : limit;
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
