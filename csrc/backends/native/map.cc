#include "backends/native/map.h"

namespace zoo::native {
namespace {

// Rounds a block stride up to an odd number of cache lines, so that blocks do not all map to the
// same cache set.
size_t odd_lines(size_t elements) {
  // The unit of 2 · kBlock elements is two cache lines of floats, or one of bfloat16.
  return ((elements + 2 * kBlock - 1) / (2 * kBlock) * 2 | 1) * kBlock;
}

// Elements after the last slot, which tiles may read past the end of the map.
constexpr size_t kSlack = 16 * kBlock;

}  // namespace

Place make_place(const Shape& shape, bool grouped, size_t images, size_t padding) {
  Place place;
  place.shape = shape;
  place.grouped = grouped;
  place.images = images;
  place.padding = grouped ? 0 : padding;
  place.column = grouped ? images * kBlock : kBlock;
  place.row = (shape.width + 2 * place.padding) * place.column;
  place.block = odd_lines(shape.height * place.row + kSlack);
  place.image = grouped ? kBlock : place.block * shape.blocks();
  return place;
}

size_t Place::size() const {
  const size_t one = block * shape.blocks();
  return grouped ? one : one * images;
}

}  // namespace zoo::native
