// The transforms of minimal filtering (operators/winograd.h), in floats.
#pragma once

#include "backends/native/kernels/vectors.h"

namespace zoo::native {
namespace {

// Returns a · b + c, rounded once or twice. Where the transforms fuse is fixed, because the bytes
// of images depend on it: not in windows at an edge, nor between the rows of a kernel. Products
// with powers of two are exact, so there it makes no difference.
template <bool Once>
inline Vec add_product(Vec a, Vec b, Vec c) {
  return Once ? fused(a, b, c) : a * b + c;
}

// Bᵀ (in place) and Aᵀ of F(4, 2), with the interpolation points 0, 1, -1, 2 and infinity.
template <bool Once>
inline void transform(Vec (&d)[5]) {
  const Vec across = d[3] - d[1];
  const Vec begin = fused(all(2.0f), d[0] - d[2], across);
  const Vec end = fused(all(2.0f), -across, d[4] - d[2]);
  d[0] = begin;
  d[4] = end;
  const Vec one = d[1], two = d[2], three = d[3];
  d[1] = fused(all(2.0f), -one, three - two);
  d[2] = fused(all(2.0f), one, add_product<Once>(all(3.0f), -two, three));
  d[3] = across;
}

inline void transform_back(const Vec (&m)[5], Vec (&out)[4]) {
  const Vec sum = m[1] + m[2], difference = m[1] - m[2];
  out[0] = m[0] + sum + m[3];
  out[1] = fused(all(2.0f), m[3], difference);
  out[2] = fused(all(4.0f), m[3], sum);
  out[3] = fused(all(8.0f), m[3], difference) + m[4];
}

// Bᵀ and Aᵀ of F(4, 3), with the additional interpolation point -2.
template <bool Once>
inline void transform(Vec (&d)[6]) {
  const Vec first = fused(all(4.0f), -d[2], d[4]);
  const Vec second = fused(all(4.0f), -d[1], d[3]);
  const Vec third = d[4] - d[2], fourth = d[3] - d[1];
  const Vec begin = fused(all(4.0f), d[0], add_product<Once>(all(5.0f), -d[2], d[4]));
  const Vec end = fused(all(4.0f), d[1], add_product<Once>(all(5.0f), -d[3], d[5]));
  d[0] = begin;
  d[1] = first + second;
  d[2] = first - second;
  d[3] = fused(all(2.0f), fourth, third);
  d[4] = fused(all(2.0f), -fourth, third);
  d[5] = end;
}

inline void transform_back(const Vec (&m)[6], Vec (&out)[4]) {
  const Vec sum = m[1] + m[2], difference = m[1] - m[2];
  const Vec outer = m[3] + m[4], across = m[3] - m[4];
  out[0] = m[0] + sum + outer;
  out[1] = fused(all(2.0f), across, difference);
  out[2] = fused(all(4.0f), outer, sum);
  out[3] = fused(all(8.0f), across, difference) + m[5];
}

// Whole: the window lies entirely inside the image, so bounds are not checked.
template <int Size, bool Whole>
void transform_window(const WindowCall& call) {
  const auto inside = [](ptrdiff_t at, size_t size) {
    return at >= 0 && at < static_cast<ptrdiff_t>(size);
  };
  for (int part = 0; part < kParts; ++part) {
    Vec rows[Size][Size];
#pragma GCC unroll 6
    for (int i = 0; i < Size; ++i) {
      const ptrdiff_t y = call.y + i;
      if (!Whole && !inside(y, call.height)) {
#pragma GCC unroll 6
        for (int k = 0; k < Size; ++k) rows[i][k] = Vec{};
        continue;
      }
      const Element* const from = static_cast<const Element*>(call.in) +
                                  y * static_cast<ptrdiff_t>(call.row) +
                                  call.x * static_cast<ptrdiff_t>(call.column) + part * kLanes;
#pragma GCC unroll 6
      for (int k = 0; k < Size; ++k) {
        const bool reads = Whole || inside(call.x + k, call.width);
        rows[i][k] = reads ? load(from + static_cast<size_t>(k) * call.column) : Vec{};
      }
      transform<Whole>(rows[i]);
    }
    float* const out = call.out + part * kLanes;
#pragma GCC unroll 6
    for (int k = 0; k < Size; ++k) {
      Vec column[Size];
#pragma GCC unroll 6
      for (int i = 0; i < Size; ++i) column[i] = rows[i][k];
      transform<Whole>(column);
#pragma GCC unroll 6
      for (int i = 0; i < Size; ++i) {
        store(out + static_cast<size_t>(Size * i + k) * call.out_step, column[i]);
      }
    }
  }
}

// G of F(4, 2) and of F(4, 3).
template <bool Once>
inline void transform_taps(const Vec (&g)[2], Vec (&out)[5]) {
  const Vec half = all(0.5f), sixth = all(1.0f / 6.0f);
  out[0] = g[0] * half;
  out[1] = (g[0] + g[1]) * -half;
  out[2] = (g[1] - g[0]) * sixth;
  out[3] = (g[0] + g[1] + g[1]) * sixth;
  out[4] = g[1];
}

template <bool Once>
inline void transform_taps(const Vec (&g)[3], Vec (&out)[6]) {
  const Vec sixth = all(1.0f / 6.0f), twelfth = all(1.0f / 12.0f);
  const Vec inner = g[0] + g[2], one = g[1] * sixth;
  const Vec outer = add_product<Once>(g[0], all(1.0f / 24.0f), g[2] * sixth);
  out[0] = g[0] * all(0.25f);
  out[1] = fused(inner, -sixth, -one);
  out[2] = fused(inner, -sixth, one);
  out[3] = add_product<Once>(g[1], twelfth, outer);
  out[4] = add_product<Once>(g[1], -twelfth, outer);
  out[5] = g[2];
}

template <int Size>
void transform_kernel(const KernelCall& call) {
  constexpr int kTaps = Size - 3;
  for (int part = 0; part < kParts; ++part) {
    Vec rows[kTaps][Size];
    for (int i = 0; i < kTaps; ++i) {
      Vec taps[kTaps];
      for (int k = 0; k < kTaps; ++k) {
        const float* const from = call.taps[i * kTaps + k];
        taps[k] = from ? load(from + part * kLanes) : Vec{};
      }
      transform_taps<false>(taps, rows[i]);
    }
    for (int k = 0; k < Size; ++k) {
      Vec taps[kTaps], column[Size];
      for (int i = 0; i < kTaps; ++i) taps[i] = rows[i][k];
      transform_taps<true>(taps, column);
      for (int i = 0; i < Size; ++i) {
        store(call.out + part * kLanes + static_cast<size_t>(Size * i + k) * call.out_step,
              column[i]);
      }
    }
  }
}

void transform_kernel(const KernelCall& call) {
  call.size == 5 ? transform_kernel<5>(call) : transform_kernel<6>(call);
}

template <int Size, bool Whole>
void transform_products(const ProductCall& call) {
  const Vec slope = all(call.slope);
  for (int part = 0; part < kParts; ++part) {
    const float* const in = call.in + part * kLanes;
    const Vec bias = load(call.bias + part * kLanes);
    Vec rows[Size][4];
#pragma GCC unroll 6
    for (int i = 0; i < Size; ++i) {
      Vec row[Size];
#pragma GCC unroll 6
      for (int k = 0; k < Size; ++k) {
        row[k] = load(in + static_cast<size_t>(Size * i + k) * call.in_step);
      }
      transform_back(row, rows[i]);
    }
    Element* const out = static_cast<Element*>(call.out) + part * kLanes;
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      Vec column[Size], values[4];
#pragma GCC unroll 6
      for (int i = 0; i < Size; ++i) column[i] = rows[i][k];
      transform_back(column, values);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const bool beside =
            static_cast<size_t>(k) >= call.width || static_cast<size_t>(i) >= call.height;
        if (!Whole && beside) continue;
        const Vec value = values[i] + bias;
        store(out + static_cast<size_t>(i) * call.row + static_cast<size_t>(k) * call.column,
              larger(value, value * slope));
      }
    }
  }
}

template <int Size>
void transform_window(const WindowCall& call) {
  const auto within = [](ptrdiff_t begin, size_t size) {
    return begin >= 0 && begin + Size <= static_cast<ptrdiff_t>(size);
  };
  const bool whole = within(call.y, call.height) && within(call.x, call.width);
  whole ? transform_window<Size, true>(call) : transform_window<Size, false>(call);
}

void transform_window(const WindowCall& call) {
  call.size == 5 ? transform_window<5>(call) : transform_window<6>(call);
}

template <int Size>
void transform_products(const ProductCall& call) {
  const bool whole = call.height == 4 && call.width == 4;
  whole ? transform_products<Size, true>(call) : transform_products<Size, false>(call);
}

void transform_products(const ProductCall& call) {
  call.size == 5 ? transform_products<5>(call) : transform_products<6>(call);
}

}  // namespace
}  // namespace zoo::native
