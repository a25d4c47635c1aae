// Where feature maps lie in an instance's memory.
//
// A map of several images is in one of two modes. In group mode the images of a group are the
// innermost of a pixel's slots, [channels / 16][row][column][image][16]: a tile works on one pixel
// of all of them, and taps beside the picture are left out. In image mode each image is apart,
// [image][channels / 16][row][column][16], with columns of zeros on either side: a tile works on
// pixels of a row. The first suits small maps, the second large ones, which would not stay in a
// core's cache together.
#pragma once

#include <cstddef>

#include "backends/native/kernels.h"

namespace zoo::native {

// Images that are computed together.
constexpr size_t kGroup = 8;

struct Shape {
  size_t channels = 0;
  size_t height = 1;
  size_t width = 1;

  size_t blocks() const { return (channels + kBlock - 1) / kBlock; }
  size_t pixels() const { return height * width; }
};

// A place for a map. Distances are in elements.
struct Place {
  Shape shape;
  bool grouped = false;
  bool wide = false;   // floats, whatever the other maps' elements are
  size_t images = 1;   // that there is memory for
  size_t padding = 0;  // columns of zeros on either side
  size_t offset = 0;   // of the map in the memory
  size_t block = 0;    // to the next 16 channels
  size_t row = 0;
  size_t column = 0;
  size_t image = 0;

  // Elements from the offset on.
  size_t size() const;

  // Of a pixel, from the map's begin; channel 0.
  size_t at(size_t y, size_t x, size_t which) const {
    return y * row + (x + padding) * column + which * image;
  }
};

// An instance's memory: maps of elements of some bytes, and floats, among them wide maps.
struct Memory {
  unsigned char* maps;
  size_t element;
  float* floats;

  void* at(const Place& place, size_t from_begin) const {
    const size_t offset = place.offset + from_begin;
    return place.wide ? static_cast<void*>(floats + offset) : maps + offset * element;
  }

  // The 16 channels of a block, at a pixel of an image.
  void* at(const Place& place, size_t block, size_t y, size_t x, size_t image) const {
    return at(place, place.at(y, x, image) + block * place.block);
  }
};

// `padding` matters in image mode only.
Place make_place(const Shape& shape, bool grouped, size_t images, size_t padding);

}  // namespace zoo::native
