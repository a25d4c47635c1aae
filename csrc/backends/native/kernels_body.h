// The kernels in GCC's vector extensions: one source for all precisions and instruction sets. The
// including file defines ZOO_LANES, the number of floats in a vector, and ZOO_BF16 if elements are
// bfloat16.
//
// Kernels must not call inline functions from other headers: the linker keeps one copy of such a
// function, which could be the one compiled here, with instructions that not every CPU supports.
#pragma once

#include "backends/native/kernels/ends.h"
#include "backends/native/kernels/filters.h"
#include "backends/native/kernels/norms.h"
#include "backends/native/kernels/tiles.h"
