// Tiles for vectors of 16 floats and 32 registers, in every precision. Include after
// kernels_body.h, or kernels/tiles.h for bytes.
#pragma once

namespace zoo::native {
namespace {

// clang-format off
constexpr Tile kTiles[] = {
    make_tile<8, 3>(),     make_tile<8, 2>(),     make_tile<8, 1>(),     make_tile<14, 2>(),
    make_tile<14, 1>(),    make_tile<16, 1>(),    make_tile<7, 2>(),     make_tile<7, 1>(),
    make_tile<4, 4>(),     make_tile<4, 2>(),     make_tile<4, 1>(),     make_tile<2, 4>(),
    make_tile<2, 2>(),     make_tile<2, 1>(),     make_tile<1, 4>(),     make_tile<1, 2>(),
    make_tile<1, 1>(),     make_tile<8, 2, 2>(),  make_tile<8, 1, 2>(),  make_tile<7, 2, 2>(),
    make_tile<7, 1, 2>(),  make_tile<4, 4, 2>(),  make_tile<4, 2, 2>(),  make_tile<4, 1, 2>(),
    make_tile<1, 4, 2>(),  make_tile<1, 1, 2>(),  make_tile<16, 1, 0>(), make_tile<14, 1, 0>(),
    make_tile<8, 2, 0>(),  make_tile<8, 1, 0>(),  make_tile<7, 2, 0>(),  make_tile<4, 4, 0>(),
    make_tile<4, 1, 0>(),  make_tile<1, 4, 0>(),  make_tile<1, 1, 0>(),
#ifndef ZOO_BYTES
    // 28 sums and 4 weights leave no register for a slot, which for bytes cannot be read in place.
    make_tile<7, 4>(),     make_tile<7, 4, 2>(),  make_tile<7, 4, 0>(),
#endif
};
// clang-format on

}  // namespace
}  // namespace zoo::native
