// Memory layouts of feature maps.
//
// A map of several images is stored in one of two modes. In group mode, the images of a group are
// innermost, [channels / 16][row][column][image][16]: a tile computes one pixel of all images, and
// taps outside the image are skipped. In image mode, images are stored one after the other,
// [image][channels / 16][row][column][16], with padding columns on either side, which hold zeros: a
// tile computes pixels of one row. Group mode suits small maps; image mode suits large ones, of
// which several images would not fit in a core's cache.
#pragma once

#include <cstddef>

#include "backends/native/kernels.h"

namespace zoo::native {

// Number of images computed together.
constexpr size_t kGroup = 8;

constexpr size_t rounded_up(size_t value, size_t to) { return (value + to - 1) / to * to; }

struct Shape {
  size_t channels = 0;
  size_t height = 1;
  size_t width = 1;

  size_t blocks() const { return (channels + kBlock - 1) / kBlock; }
  size_t padded() const { return blocks() * kBlock; }  // channels, rounded up to whole blocks
  size_t pixels() const { return height * width; }
};

// Elements of a map: those of the network's precision, floats in every precision, or bytes, which
// encode the operands of layers that multiply bytes (operators/quantize.h).
enum class Storage { kNarrow, kWide, kBytes };

// Memory place of a map. Strides are in elements.
struct Place {
  Shape shape;
  bool grouped = false;
  Storage storage = Storage::kNarrow;
  size_t element = 0;  // size in bytes
  size_t images = 1;   // number of images that fit
  size_t padding = 0;  // columns on either side
  size_t offset = 0;   // of the map in the memory, in bytes; of a wide map in floats
  size_t block = 0;    // stride of the channel blocks, followed by the other strides
  size_t row = 0;
  size_t column = 0;
  size_t image = 0;

  // Returns the size of the map.
  size_t size() const;

  // Returns the offset of channel 0 of a pixel relative to the beginning of the map.
  size_t at(size_t y, size_t x, size_t which) const {
    return y * row + (x + padding) * column + which * image;
  }
};

// Memory of an instance: maps, wide maps, and the scratch memory of the steps. Threads that compute
// parts of an image have scratch memory of their own.
struct Memory {
  unsigned char* maps;
  float* floats;
  float* scratch;

  void* at(const Place& place, size_t from_begin) const {
    if (place.storage == Storage::kWide) return floats + place.offset + from_begin;
    return maps + place.offset + from_begin * place.element;
  }

  // Returns the address of the 16 channels of a block at a pixel of an image.
  void* at(const Place& place, size_t block, size_t y, size_t x, size_t image) const {
    return at(place, place.at(y, x, image) + block * place.block);
  }
};

// Makes a place at offset 0. `padding` is ignored in group mode.
Place make_place(const Shape& shape, bool grouped, size_t images, size_t padding);

}  // namespace zoo::native
