// The kernels in GCC's vector extensions: one source for all precisions and instruction sets. A
// file that includes it says ZOO_LANES, the floats of a vector; and, where elements are no floats,
// ZOO_BF16.
//
// Nothing with a body from another header may be called here: the linker keeps one copy of such a
// function, and it could be this one, with instructions that not every CPU has.
#include "backends/native/kernels.h"

#ifdef ZOO_BF16
#include <immintrin.h>
#endif

namespace zoo::native {
namespace {

constexpr int kLanes = ZOO_LANES;
constexpr int kSide = static_cast<int>(kBlock);
constexpr int kParts = kSide / kLanes;  // vectors of a block

typedef float Vec __attribute__((vector_size(kLanes * sizeof(float)), may_alias));
typedef float Loose
    __attribute__((vector_size(kLanes * sizeof(float)), may_alias, aligned(sizeof(float))));
typedef int32_t Ints __attribute__((vector_size(kLanes * sizeof(int32_t)), may_alias));
typedef uint8_t Bytes __attribute__((vector_size(kLanes), may_alias, aligned(1)));

inline Vec load(const float* from) { return *reinterpret_cast<const Loose*>(from); }
inline void store(float* to, Vec value) { *reinterpret_cast<Loose*>(to) = value; }

#ifdef ZOO_BF16
struct Element {
  uint16_t bits;
};
typedef uint16_t Halves
    __attribute__((vector_size(kLanes * sizeof(uint16_t)), may_alias, aligned(2)));
typedef uint32_t Words __attribute__((vector_size(kLanes * sizeof(uint32_t)), may_alias));

inline Vec load(const Element* from) {
  const Halves halves = *reinterpret_cast<const Halves*>(from);
  const Words words = __builtin_convertvector(halves, Words) << 16;
  return reinterpret_cast<const Vec&>(words);
}
// Rounded to nearest even.
inline void store(Element* to, Vec value) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), (__m256i)_mm512_cvtneps_pbh(value));
}
#else
using Element = float;
#endif

inline Vec all(float value) { return value - Vec{}; }
inline Vec larger(Vec a, Vec b) { return a > b ? a : b; }
inline Vec smaller(Vec a, Vec b) { return a < b ? a : b; }

#ifdef ZOO_BF16
// Products of two channels at a time; each channel's weight is beside that of the next.
constexpr int kTogether = 2;
using Weights = __m512i;
using Broadcast = __m512i;

inline Weights weights_at(const Element* from) {
  return _mm512_loadu_si512(reinterpret_cast<const void*>(from));
}
inline Broadcast broadcast(const Element* from) {
  int pair;
  __builtin_memcpy(&pair, from, sizeof pair);
  return _mm512_set1_epi32(pair);
}
inline Vec multiplied(Vec sum, Broadcast x, Weights w) {
  return _mm512_dpbf16_ps(sum, (__m512bh)x, (__m512bh)w);
}
#else
constexpr int kTogether = 1;
using Weights = Vec;
using Broadcast = Vec;

inline Weights weights_at(const Element* from) { return load(from); }
inline Broadcast broadcast(const Element* from) { return all(*from); }
inline Vec multiplied(Vec sum, Broadcast x, Weights w) { return sum + x * w; }
#endif

// A tile's rows, Step blocks apart, or for 0 as far as is said at run time: then every fourth has a
// pointer, and no more registers are needed than there are.
template <int Rows, int Step>
struct RowPointers {
  RowPointers(const Element* in, size_t) : first(in) {}
  const Element* row(int m) const { return first + m * Step * kSide; }
  void advance(size_t distance) { first += distance; }

  const Element* first;
};

template <int Rows>
struct RowPointers<Rows, 0> {
  static constexpr int kPointers = (Rows + 3) / 4;

  RowPointers(const Element* in, size_t in_step) : one(in_step), three(3 * in_step) {
#pragma GCC unroll 4
    for (int i = 0; i < kPointers; ++i) fourths[i] = in + 4 * static_cast<size_t>(i) * in_step;
    advance(0);
    __asm__("" : "+r"(three));
  }
  const Element* row(int m) const {
    const Element* const base = fourths[m / 4];
    return m % 4 == 0 ? base : m % 4 == 3 ? base + three : base + static_cast<size_t>(m % 4) * one;
  }
  void advance(size_t distance) {
#pragma GCC unroll 4
    for (int i = 0; i < kPointers; ++i) {
      fourths[i] += distance;
      // Not to be told from the first by the compiler, which would keep sixteen.
      __asm__("" : "+r"(fourths[i]));
    }
  }

  const Element* fourths[kPointers];
  size_t one;
  size_t three;
};

// Adds the products of channel k, or of as many as go together.
template <int Rows, int Vectors, int Step>
__attribute__((always_inline)) inline void add_products(const RowPointers<Rows, Step>& in,
                                                        const Element* weights, size_t column_size,
                                                        int k, Vec (&sums)[Rows][Vectors]) {
  Weights w[Vectors];
#pragma GCC unroll 16
  for (int n = 0; n < Vectors; ++n) {
    w[n] = weights_at(weights + n / kParts * column_size + k * kSide + n % kParts * kLanes);
  }
#pragma GCC unroll 16
  for (int m = 0; m < Rows; ++m) {
    const Broadcast x = broadcast(in.row(m) + k);
#pragma GCC unroll 16
    for (int n = 0; n < Vectors; ++n) sums[m][n] = multiplied(sums[m][n], x, w[n]);
  }
}

template <int Rows, int Columns, int Step, typename Out>
void tile(const TileCall& call) {
  constexpr int kVectors = Columns * kParts;
  // The last block, where it has fewer channels.
  const int rest = call.depth == kBlock ? 0 : static_cast<int>(call.depth);
  const size_t whole = call.blocks - (rest == 0 ? 0 : 1);
  Vec sums[Rows][kVectors];
#pragma GCC unroll 16
  for (int n = 0; n < kVectors; ++n) {
    const Vec bias = load(call.bias + n * kLanes);
#pragma GCC unroll 16
    for (int m = 0; m < Rows; ++m) sums[m][n] = bias;
  }
  for (size_t t = 0; t < call.taps; ++t) {
    RowPointers<Rows, Step> in(static_cast<const Element*>(call.in) + call.offsets[t],
                               call.in_step);
    const Element* weights =
        static_cast<const Element*>(call.weights) + call.places[t] * call.tap_size;
    for (size_t b = 0; b < whole; ++b) {
#pragma GCC unroll 16
      for (int k = 0; k < kSide; k += kTogether) {
        add_products<Rows, kVectors, Step>(in, weights, call.column_size, k, sums);
      }
      in.advance(call.in_block);
      weights += kBlock * kBlock;
    }
    for (int k = 0; k < rest; k += kTogether) {
      add_products<Rows, kVectors, Step>(in, weights, call.column_size, k, sums);
    }
  }
  const Vec slope = all(call.slope);
#pragma GCC unroll 16
  for (int n = 0; n < kVectors; ++n) {
    Out* out = static_cast<Out*>(call.out) + n / kParts * call.out_block + n % kParts * kLanes;
#pragma GCC unroll 16
    for (int m = 0; m < Rows; ++m) {
      store(out, larger(sums[m][n], sums[m][n] * slope));
      out += call.out_step;
    }
  }
}

template <int Rows, int Columns, int Step = 1>
constexpr Tile make_tile() {
  return {Rows, Columns, Step, tile<Rows, Columns, Step, Element>,
          tile<Rows, Columns, Step, float>};
}

void pack(const float* weights, void* packed) {
  Element* to = static_cast<Element*>(packed);
#ifdef ZOO_BF16
  for (size_t k = 0; k < kBlock; ++k) {
    Element row[kBlock];
    store(row, load(weights + k * kBlock));
    for (size_t n = 0; n < kBlock; ++n) to[k / 2 * 2 * kBlock + 2 * n + k % 2] = row[n];
  }
#else
  for (size_t i = 0; i < kBlock * kBlock; ++i) to[i] = weights[i];
#endif
}

void from_levels(const uint8_t* levels, size_t count, const Scaling& scaling, void* out) {
  Element* const to = static_cast<Element*>(out);
  const auto scaled = [&](Bytes bytes) {
    const Vec level = __builtin_convertvector(__builtin_convertvector(bytes, Ints), Vec);
    return level / all(scaling.divisor) * all(scaling.factor) + all(scaling.shift);
  };
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    store(to + i, scaled(*reinterpret_cast<const Bytes*>(levels + i)));
  }
  if (i == count) return;
  Bytes rest = {};
  __builtin_memcpy(&rest, levels + i, count - i);
  Element last[kLanes];
  store(last, scaled(rest));
  __builtin_memcpy(to + i, last, (count - i) * sizeof(Element));
}

void load_block(const void* from, float* values) {
  for (int p = 0; p < kParts; ++p) {
    store(values + p * kLanes, load(static_cast<const Element*>(from) + p * kLanes));
  }
}

void store_block(const float* values, void* to) {
  for (int p = 0; p < kParts; ++p) {
    store(static_cast<Element*>(to) + p * kLanes, load(values + p * kLanes));
  }
}

// The sum of 16 numbers: i and i + 8, then i and i + 4, ….
inline float total(const float* values) {
  float sums[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) sums[i] = values[i] + values[i + 8];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) sums[i] += sums[i + 4];
  return (sums[0] + sums[2]) + (sums[1] + sums[3]);
}

inline float root(float value) {
  float result;
#if defined(__x86_64__)
  __asm__("vsqrtss %1, %1, %0" : "=x"(result) : "x"(value));
#else
  result = __builtin_sqrtf(value);
#endif
  return result;
}

void pixel_norm(void* map, size_t block, size_t blocks, size_t slots, float scale, float epsilon) {
  Element* const in = static_cast<Element*>(map);
  for (size_t slot = 0; slot < slots; ++slot) {
    Vec squares[kParts] = {};
    for (size_t b = 0; b < blocks; ++b) {
#pragma GCC unroll 4
      for (int p = 0; p < kParts; ++p) {
        const Vec x = load(in + b * block + slot * kBlock + p * kLanes);
        squares[p] += x * x;
      }
    }
    float values[kBlock];
#pragma GCC unroll 4
    for (int p = 0; p < kParts; ++p) store(values + p * kLanes, squares[p]);
    const Vec divisor = all(root(total(values) * scale + epsilon));
    for (size_t b = 0; b < blocks; ++b) {
#pragma GCC unroll 4
      for (int p = 0; p < kParts; ++p) {
        const size_t place = b * block + slot * kBlock + static_cast<size_t>(p * kLanes);
        store(in + place, load(in + place) / divisor);
      }
    }
  }
}

// blur(in) + bias + strength · noise of one pixel and one vector of its channels, rectified.
inline Vec noisy(const NormCall& call, size_t y, size_t x, int part) {
  const Element* in =
      static_cast<const Element*>(call.in) + y * call.in_row + x * call.in_column + part * kLanes;
  Vec value = load(in);
  if (call.blur) {
    value = Vec{};
    for (size_t ky = 0; ky < 3; ++ky) {
      if (y + ky < 1 || y + ky > call.height) continue;
      for (size_t kx = 0; kx < 3; ++kx) {
        if (x + kx < 1 || x + kx > call.width) continue;
        const Element* from = in + ky * call.in_row + kx * call.in_column;
        value += load(from - call.in_row - call.in_column) *
                 load(call.blur + (3 * ky + kx) * kBlock + part * kLanes);
      }
    }
  }
  value = value + load(call.bias + part * kLanes);
  if (call.noise) {
    const float noise = call.noise[y * call.width + x] * call.noise_scale;
    value = load(call.strength + part * kLanes) * all(noise) + value;
  }
  return larger(value, value * all(call.slope));
}

void instance_norm(const NormCall& call) {
  const float share = 1.0f / static_cast<float>(call.height * call.width);
  for (int part = 0; part < kParts; ++part) {
    Element* const out = static_cast<Element*>(call.out) + part * kLanes;
    // Sums of rows, then their sum: less is lost to rounding than in one long sum.
    Vec total = {};
    for (size_t y = 0; y < call.height; ++y) {
      Vec sum = {};
      for (size_t x = 0; x < call.width; ++x) {
        const Vec value = noisy(call, y, x, part);
        store(out + y * call.out_row + x * call.out_column, value);
        sum += value;
      }
      total += sum;
    }
    const Vec mean = total * all(share);
    Vec squares = {};
    for (size_t y = 0; y < call.height; ++y) {
      Vec sum = {};
      for (size_t x = 0; x < call.width; ++x) {
        const Vec apart = load(out + y * call.out_row + x * call.out_column) - mean;
        sum += apart * apart;
      }
      squares += sum;
    }
    Vec factor = squares * all(share) + all(call.epsilon);
    for (int i = 0; i < kLanes; ++i) factor[i] = root(factor[i]);
    factor = load(call.scale + part * kLanes) / factor;
    const Vec shift = load(call.shift + part * kLanes);
    for (size_t y = 0; y < call.height; ++y) {
      for (size_t x = 0; x < call.width; ++x) {
        Element* const at = out + y * call.out_row + x * call.out_column;
        const Vec value = (load(at) - mean) * factor + shift;
        store(at, larger(value, value * all(call.end_slope)));
      }
    }
  }
}

#ifndef ZOO_BF16
// Bᵀ and Aᵀ of F(4, 2), whose points are 0, 1, -1, 2 and infinity, in place.
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

// Those of F(4, 3), with the point -2 as well.
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

// Whole: no pixel is outside the picture.
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
#endif

void combine(const CombineCall& call) {
  const Element* a = static_cast<const Element*>(call.a);
  const Element* b = static_cast<const Element*>(call.b);
  Element* out = static_cast<Element*>(call.out);
  for (size_t slot = 0; slot < call.count; ++slot) {
    for (int p = 0; p < kParts; ++p) {
      Vec value = load(a + p * kLanes);
      if (b) value += load(b + p * kLanes);
      store(out + p * kLanes, larger(value, value * all(call.slope)));
    }
    a += call.a_step;
    if (b) b += call.b_step;
    out += call.out_step;
  }
}

// Rows and columns of kLanes × kLanes numbers change places, half by half.
inline void turn(Vec (&rows)[kLanes]) {
#pragma GCC unroll 4
  for (int half = kLanes / 2; half > 0; half /= 2) {
    Ints first, second;
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) {
      first[i] = (i & half) == 0 ? i : i - half + kLanes;
      second[i] = (i & half) == 0 ? i + half : i + kLanes;
    }
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) {
      if ((i & half) != 0) continue;
      const Vec a = rows[i], b = rows[i + half];
      rows[i] = __builtin_shuffle(a, b, first);
      rows[i + half] = __builtin_shuffle(a, b, second);
    }
  }
}

void transpose(const float* in, size_t slots, float* out, size_t stride) {
  for (size_t slot = 0; slot < slots; slot += kLanes) {
    for (int p = 0; p < kParts; ++p) {
      Vec rows[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) {
        rows[i] = load(in + (slot + static_cast<size_t>(i)) * kBlock + p * kLanes);
      }
      turn(rows);
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) {
        store(out + static_cast<size_t>(p * kLanes + i) * stride + slot, rows[i]);
      }
    }
  }
}

void add(const float* in, size_t count, float* sum) {
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(sum + i, load(sum + i) + load(in + i));
  for (; i < count; ++i) sum[i] += in[i];
}

// e^x to 2 ulp for x in [-87, 88], which others are brought to; after Cephes' expf.
inline Vec exponential(Vec x) {
  x = smaller(larger(x, all(-87.0f)), all(88.0f));
  const Vec shift = all(12582912.0f);  // 1.5 · 2²³: adding it rounds to whole numbers
  const Vec n = (x * all(1.44269504f) + shift) - shift;
  Vec r = x - n * all(0.693359375f);
  r = r - n * all(-2.12194440e-4f);
  Vec p = all(1.9875691500e-4f);
  p = p * r + all(1.3981999507e-3f);
  p = p * r + all(8.3334519073e-3f);
  p = p * r + all(4.1665795894e-2f);
  p = p * r + all(1.6666665459e-1f);
  p = p * r + all(5.0000001201e-1f);
  const Vec squared = r * r;
  const Vec power = p * squared + (r + all(1.0f));
  const Ints exponent = (__builtin_convertvector(n, Ints) + 127) << 23;
  return power * reinterpret_cast<const Vec&>(exponent);
}

inline Vec squashed(Squash squash, float scale, Vec x) {
  if (squash == Squash::kNone) return x;
  // (tanh x + 1) / 2 is the logistic function of 2x.
  const Vec one = all(1.0f);
  const Vec rate = all(squash == Squash::kSigmoid ? -scale : -2.0f * scale);
  const Vec share = one / (one + exponential(x * rate));
  return squash == Squash::kTanh ? share + share - one : share;
}

void squash(Squash squash, float scale, float low, float high, float* values, size_t count) {
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Vec y = squashed(squash, scale, load(values + i));
    store(values + i, smaller(larger(y, all(low)), all(high)));
  }
  if (i == count) return;
  float rest[kLanes] = {};
  for (size_t k = i; k < count; ++k) rest[k - i] = values[k];
  const Vec y = squashed(squash, scale, load(rest));
  store(rest, smaller(larger(y, all(low)), all(high)));
  for (size_t k = i; k < count; ++k) values[k] = rest[k - i];
}

// What no tile can exceed: as many sums as hide the multiplier's latency, and nothing to load.
double spin(size_t rounds) {
  constexpr int kSums = kLanes == 16 ? 24 : 12;
  const Element one[2 * kLanes] = {};
  Vec sums[kSums] = {};
  Broadcast x = broadcast(one);
  const Weights w = weights_at(one);
  // What the compiler does not know it cannot leave out: neither that the sums are equal ...
#pragma GCC unroll 24
  for (int i = 0; i < kSums; ++i) __asm__ volatile("" : "+v"(sums[i]));
  for (size_t round = 0; round < rounds; ++round) {
    // ... nor that the factors stay the same.
    __asm__ volatile("" : "+v"(x));
#pragma GCC unroll 24
    for (int i = 0; i < kSums; ++i) sums[i] = multiplied(sums[i], x, w);
  }
#pragma GCC unroll 24
  for (int i = 0; i < kSums; ++i) __asm__ volatile("" : : "v"(sums[i]));
  return 2.0 * kSums * kLanes * kTogether * static_cast<double>(rounds);
}

void to_levels(const float* values, size_t count, uint8_t* levels) {
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Vec scaled = load(values + i) * all(255.0f) + all(0.5f);
    const Ints whole = __builtin_convertvector(scaled, Ints);
    *reinterpret_cast<Bytes*>(levels + i) = __builtin_convertvector(whole, Bytes);
  }
  // Fused here as above.
  for (; i < count; ++i) {
    levels[i] = static_cast<uint8_t>(__builtin_fmaf(values[i], 255.0f, 0.5f));
  }
}

}  // namespace

}  // namespace zoo::native
