// The transforms of minimal filtering (operators/winograd.h), in floats.
#pragma once

#include "backends/native/kernels/vectors.h"

namespace zoo::native {
namespace {

// Bᵀ (in place) and Aᵀ of F(4, 2), with the interpolation points 0, 1, -1, 2 and infinity.
inline void transform(Vec (&d)[5]) {
  const Vec across = d[3] - d[1];
  const Vec begin = all(2.0f) * (d[0] - d[2]) + across;
  const Vec end = (d[4] - d[2]) - all(2.0f) * across;
  d[0] = begin;
  d[4] = end;
  const Vec one = d[1], two = d[2], three = d[3];
  d[1] = (three - two) - all(2.0f) * one;
  d[2] = all(2.0f) * one + (three - all(3.0f) * two);
  d[3] = across;
}

inline void transform_back(const Vec (&m)[5], Vec (&out)[4]) {
  const Vec sum = m[1] + m[2], difference = m[1] - m[2];
  out[0] = m[0] + sum + m[3];
  out[1] = difference + all(2.0f) * m[3];
  out[2] = sum + all(4.0f) * m[3];
  out[3] = difference + all(8.0f) * m[3] + m[4];
}

// Bᵀ and Aᵀ of F(4, 3), with the additional interpolation point -2.
inline void transform(Vec (&d)[6]) {
  const Vec first = d[4] - all(4.0f) * d[2], second = d[3] - all(4.0f) * d[1];
  const Vec third = d[4] - d[2], fourth = all(2.0f) * (d[3] - d[1]);
  const Vec begin = all(4.0f) * d[0] + (d[4] - all(5.0f) * d[2]);
  const Vec end = all(4.0f) * d[1] + (d[5] - all(5.0f) * d[3]);
  d[0] = begin;
  d[1] = first + second;
  d[2] = first - second;
  d[3] = third + fourth;
  d[4] = third - fourth;
  d[5] = end;
}

inline void transform_back(const Vec (&m)[6], Vec (&out)[4]) {
  const Vec sum = m[1] + m[2], difference = m[1] - m[2];
  const Vec outer = m[3] + m[4], across = m[3] - m[4];
  out[0] = m[0] + sum + outer;
  out[1] = difference + all(2.0f) * across;
  out[2] = sum + all(4.0f) * outer;
  out[3] = difference + all(8.0f) * across + m[5];
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
      transform(rows[i]);
    }
    float* const out = call.out + part * kLanes;
#pragma GCC unroll 6
    for (int k = 0; k < Size; ++k) {
      Vec column[Size];
#pragma GCC unroll 6
      for (int i = 0; i < Size; ++i) column[i] = rows[i][k];
      transform(column);
#pragma GCC unroll 6
      for (int i = 0; i < Size; ++i) {
        store(out + static_cast<size_t>(Size * i + k) * call.out_step, column[i]);
      }
    }
  }
}

// G of F(4, 2) and of F(4, 3).
inline void transform_taps(const Vec (&g)[2], Vec (&out)[5]) {
  const Vec half = all(0.5f), sixth = all(1.0f / 6.0f);
  out[0] = g[0] * half;
  out[1] = (g[0] + g[1]) * -half;
  out[2] = (g[1] - g[0]) * sixth;
  out[3] = (g[0] + g[1] + g[1]) * sixth;
  out[4] = g[1];
}

inline void transform_taps(const Vec (&g)[3], Vec (&out)[6]) {
  const Vec sixth = all(1.0f / 6.0f), outer = g[0] * all(1.0f / 24.0f) + g[2] * sixth;
  const Vec inner = (g[0] + g[2]) * -sixth, middle = g[1] * all(1.0f / 12.0f);
  out[0] = g[0] * all(0.25f);
  out[1] = inner - g[1] * sixth;
  out[2] = inner + g[1] * sixth;
  out[3] = outer + middle;
  out[4] = outer - middle;
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
      transform_taps(taps, rows[i]);
    }
    for (int k = 0; k < Size; ++k) {
      Vec taps[kTaps], column[Size];
      for (int i = 0; i < kTaps; ++i) taps[i] = rows[i][k];
      transform_taps(taps, column);
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
