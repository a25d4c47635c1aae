// The kernels in GCC's vector extensions: one source for all precisions and instruction sets. A
// file that includes it says ZOO_LANES, the floats of a vector; and, where elements are no floats,
// ZOO_BF16.
//
// Nothing with a body from another header may be called here: the linker keeps one copy of such a
// function, and it could be this one, with instructions that not every CPU has.
#pragma once

#include "backends/native/kernels/ends.h"
#include "backends/native/kernels/filters.h"
#include "backends/native/kernels/norms.h"
#include "backends/native/kernels/tiles.h"
