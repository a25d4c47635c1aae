// The kernels in GCC's vector extensions: one source for all precisions and instruction sets. The
// including file defines ZOO_LANES, the number of floats in a vector, and ZOO_BF16 if elements are
// bfloat16. The tiles for bytes (kernels/tiles.h with ZOO_BYTES) have no other kernels.
//
// Kernels must not call inline functions from other headers: the linker keeps one copy of such a
// function, which could be the one compiled here, with instructions that not every CPU supports.
#pragma once

#include "backends/native/kernels/correlate.h"
#include "backends/native/kernels/ends.h"
#include "backends/native/kernels/filters.h"
#include "backends/native/kernels/norms.h"
#include "backends/native/kernels/tiles.h"

namespace zoo::native {
namespace {

// The kernels of this instruction set, with its tiles.
template <size_t Count>
constexpr Kernels make_kernels(const char* isa, const Tile (&tiles)[Count]) {
  Kernels kernels{};
  kernels.isa = isa;
  kernels.element = sizeof(Element);
  kernels.tiles = tiles;
  kernels.tile_count = Count;
  kernels.pack = pack;
#ifdef ZOO_HALVES
  kernels.pack_halves = pack_halves;
#endif
  kernels.from_levels = from_levels;
  kernels.load = load_block;
  kernels.store = store_block;
  kernels.pixel_norm = pixel_norm;
  kernels.transpose = transpose;
  kernels.instance_norm = instance_norm;
  kernels.transform_kernel = transform_kernel;
  kernels.transform_window = transform_window;
  kernels.transform_products = transform_products;
  kernels.combine = combine;
  kernels.quantize = quantize;
  kernels.add = add;
  kernels.correlate = correlate;
  kernels.squash = squash;
  kernels.spin = spin;
  kernels.to_levels = to_levels;
  return kernels;
}

}  // namespace
}  // namespace zoo::native
