#include "backends/native/operators/products.h"

#include <algorithm>
#include <cmath>

namespace zoo::native {
namespace {

// Padding between column blocks, in weights, so that they do not all map to the same cache set.
// Whole cache lines of bytes, so that no vector of weights spans two.
constexpr size_t kApart = 64;

// Number of blocks of weights that each 16 channels of an operand must be multiplied by, so that
// bytes save more time than encoding takes: 4 cycles, of which each block saves 2.
constexpr size_t kLeastUses = 2;

constexpr float kMostWeight = 127.0f;
constexpr float kMostByte = 255.0f;

// Size limit in bytes for the maps of a layer that should stay in a core's L2 cache.
constexpr size_t kCached = 512 * 1024;

}  // namespace

Layout Products::layout(size_t images, size_t element) const {
  const size_t elements =
      make_place(in, true, images, 0).size() + make_place(out, true, images, 0).size();
  return elements * element <= kCached ? Layout::kGrouped : Layout::kApart;
}

const char* Products::kind() const {
  if (in.pixels() == 1 || phases.size() == out.pixels()) return "dense";
  return out_stride > 1 ? "transposed convolution" : "convolution";
}

double Products::operations() const {
  // Number of outputs along one axis for which the tap lies inside the image.
  const auto inside = [&](size_t outputs, int by, size_t size) {
    size_t count = 0;
    for (size_t at = 0; at < outputs; ++at) {
      const auto place = static_cast<ptrdiff_t>(at * in_stride) + by;
      if (place >= 0 && place < static_cast<ptrdiff_t>(size)) ++count;
    }
    return count;
  };
  size_t products = 0;
  for (const Phase& phase : phases) {
    for (const Tap& tap : phase.taps) {
      products += inside(rows, tap.dy, in.height) * inside(columns, tap.dx, in.width);
    }
  }
  return 2.0 * static_cast<double>(products * in.channels * out.channels);
}

size_t Products::padding() const {
  int most = 0;
  for (const Phase& phase : phases) {
    for (const Tap& tap : phase.taps) {
      const int last = static_cast<int>((columns - 1) * in_stride) + tap.dx;
      most = std::max({most, -tap.dx, last - static_cast<int>(in.width) + 1});
    }
  }
  return static_cast<size_t>(most);
}

bool Products::fits_bytes() const {
  size_t taps = 0;
  for (const Phase& phase : phases) taps = std::max(taps, phase.taps.size());
  constexpr auto kMostProduct = static_cast<size_t>(kMostWeight * kMostByte);
  return taps * in.channels <= INT32_MAX / kMostProduct;
}

bool Products::gains_from_bytes() const {
  size_t used = 0;
  for (const Phase& phase : phases) used += phase.taps.size() * rows * columns;
  return used * out.blocks() >= kLeastUses * in.pixels();
}

TileCall Products::make_call() const {
  TileCall call;
  call.blocks = in.blocks();
  call.depth = in.channels - (call.blocks - 1) * kBlock;
  call.tap_size = tap_size;
  call.column_size = column_size;
  call.slope = activation.slope;
  return call;
}

void Products::set_strides(size_t taps) {
  tap_size = in.blocks() * kBlock * kBlock;
  column_size = taps * tap_size + kApart;
}

void Products::allocate(size_t taps, size_t sets) {
  set_strides(taps);
  weights.assign(out.blocks() * column_size, 0.0f);
  biases.assign(sets * out.padded(), 0.0f);
}

void Products::set_weight(size_t tap, size_t input, size_t output, float value) {
  weights[output / kBlock * column_size + tap * tap_size + input * kBlock + output % kBlock] =
      value;
}

void Products::set_bias(size_t set, size_t output, float value) {
  biases[set * out.padded() + output] = value;
}

void Products::quantize_weights() {
  const size_t padded = out.padded();
  scales.assign(biases.size(), 0.0f);
  tap_sums.assign(column_size / tap_size * padded, 0);
  // Calls `call` for every 16 weights of an input channel, with the index of their first output
  // channel in `scales` and in `tap_sums`.
  const auto for_rows = [&](const auto& call) {
    for (const Phase& phase : phases) {
      for (const Tap& tap : phase.taps) {
        for (size_t c = 0; c < padded; c += kBlock) {
          float* row = weights.data() + c / kBlock * column_size + tap.weights * tap_size;
          for (size_t k = 0; k < in.channels; ++k, row += kBlock) {
            call(phase.bias * padded + c, tap.weights * padded + c, row);
          }
        }
      }
    }
  };
  for_rows([&](size_t channel, size_t, const float* row) {
    float* const scale = scales.data() + channel;
    for (size_t c = 0; c < kBlock; ++c) {
      scale[c] = std::max(scale[c], std::abs(row[c]) / kMostWeight);
    }
  });
  for_rows([&](size_t channel, size_t tap, float* row) {
    const float* const scale = scales.data() + channel;
    int32_t* const sums = tap_sums.data() + tap;
    for (size_t c = 0; c < kBlock; ++c) {
      // Adding 1.5 · 2²³ rounds to whole numbers, ties to even.
      constexpr float kShift = 12582912.0f;
      const float whole = row[c] / (scale[c] == 0.0f ? 1.0f : scale[c]) + kShift - kShift;
      row[c] = std::min(std::max(whole, -kMostWeight), kMostWeight);
      sums[c] += static_cast<int32_t>(row[c]);
    }
  });
  for (float& scale : scales) scale *= code->scale;
}

size_t Products::packed_size(const Kernels& kernels, const Kernels&) const {
  return out.blocks() * column_size * kernels.element;
}

void Products::pack(const Kernels& kernels, const Kernels&, unsigned char* memory) {
  if (code) quantize_weights();
  constexpr size_t kSquare = kBlock * kBlock;
  const auto pack_halves = [&] {
    for (size_t column = 0; column < out.blocks(); ++column) {
      for (size_t at = 0; at + kSquare <= column_size; at += kSquare) {
        const size_t first = column * column_size + at;
        if (!kernels.pack_halves(weights.data() + first, memory + first * 2)) return false;
      }
    }
    return true;
  };
  // The time to read the weights dominates, and half precision halves it.
  halves = kernels.pack_halves && streams && pack_halves();
  for (size_t column = 0; !halves && column < out.blocks(); ++column) {
    const size_t first = column * column_size;
    pack_column(kernels, weights.data() + first, memory + first * kernels.element);
  }
  packed = memory;
  weights = {};
}

void Products::pack_column(const Kernels& kernels, const float* from, unsigned char* memory) const {
  constexpr size_t kSquare = kBlock * kBlock;
  for (size_t at = 0; at + kSquare <= column_size; at += kSquare) {
    kernels.pack(from + at, memory + at * kernels.element);
  }
}

std::unique_ptr<Products> make_dense(const float* weights, const float* bias, const Shape& in,
                                     const Shape& out, Activation activation) {
  auto made = std::make_unique<Products>();
  made->in = in;
  made->out = out;
  made->activation = activation;
  made->streams = true;
  const size_t inputs = in.channels * in.pixels();
  made->allocate(in.pixels() * out.pixels(), out.pixels());
  for (size_t pixel = 0; pixel < out.pixels(); ++pixel) {
    Phase phase{pixel / out.width, pixel % out.width, {}, pixel};
    for (size_t from = 0; from < in.pixels(); ++from) {
      const size_t tap = pixel * in.pixels() + from;
      phase.taps.push_back({static_cast<int>(from / in.width), static_cast<int>(from % in.width),
                            static_cast<uint32_t>(tap)});
      for (size_t c = 0; c < out.channels; ++c) {
        const float* const row = weights + (c * out.pixels() + pixel) * inputs;
        for (size_t k = 0; k < in.channels; ++k) {
          made->set_weight(tap, k, c, row[k * in.pixels() + from]);
        }
      }
    }
    for (size_t c = 0; bias && c < out.channels; ++c) {
      made->set_bias(pixel, c, bias[c * out.pixels() + pixel]);
    }
    made->phases.push_back(std::move(phase));
  }
  return made;
}

Shape convolved(const Shape& in, size_t outputs, const Window& window) {
  const auto side = [&](size_t length) {
    return (length + 2 * window.padding - window.size) / window.stride + 1;
  };
  return {outputs, side(in.height), side(in.width)};
}

std::unique_ptr<Products> make_convolution(const float* weights, const float* bias, const Shape& in,
                                           size_t outputs, const Window& window,
                                           Activation activation) {
  auto made = std::make_unique<Products>();
  made->in = in;
  made->out = convolved(in, outputs, window);
  made->in_stride = window.stride;
  made->rows = made->out.height;
  made->columns = made->out.width;
  made->activation = activation;
  const size_t places = window.size * window.size;
  made->allocate(places, 1);
  Phase phase{0, 0, {}, 0};
  for (size_t place = 0; place < places; ++place) {
    const int before = static_cast<int>(window.padding);
    phase.taps.push_back({static_cast<int>(place / window.size) - before,
                          static_cast<int>(place % window.size) - before,
                          static_cast<uint32_t>(place)});
    for (size_t c = 0; c < outputs; ++c) {
      for (size_t k = 0; k < in.channels; ++k) {
        made->set_weight(place, k, c, weights[(c * in.channels + k) * places + place]);
      }
    }
  }
  made->phases.push_back(std::move(phase));
  for (size_t c = 0; bias && c < outputs; ++c) made->set_bias(0, c, bias[c]);
  return made;
}

std::unique_ptr<Products> make_transposed(const float* weights, const float* bias, const Shape& in,
                                          size_t outputs, const Window& window,
                                          Activation activation) {
  auto made = std::make_unique<Products>();
  made->in = in;
  made->out.channels = outputs;
  made->out.height = (in.height - 1) * window.stride + window.size - 2 * window.padding;
  made->out.width = (in.width - 1) * window.stride + window.size - 2 * window.padding;
  made->out_stride = window.stride;
  made->rows = made->out.height / window.stride;
  made->columns = made->out.width / window.stride;
  made->activation = activation;
  const size_t places = window.size * window.size;
  made->allocate(places, 1);
  // Kernel row k connects input pixel i to output pixel y = i · stride + k - padding.
  const auto taps_of = [&](size_t phase) {
    std::vector<std::pair<int, size_t>> taps;
    const auto stride = static_cast<int>(window.stride);
    for (size_t k = window.size; k-- > 0;) {
      const int sum = static_cast<int>(phase + window.padding) - static_cast<int>(k);
      if (sum % stride == 0) taps.emplace_back(sum / stride, k);
    }
    return taps;
  };
  for (size_t y = 0; y < window.stride; ++y) {
    for (size_t x = 0; x < window.stride; ++x) {
      Phase phase{y, x, {}, 0};
      for (const auto& [dy, ky] : taps_of(y)) {
        for (const auto& [dx, kx] : taps_of(x)) {
          phase.taps.push_back({dy, dx, static_cast<uint32_t>(ky * window.size + kx)});
        }
      }
      made->phases.push_back(std::move(phase));
    }
  }
  for (size_t k = 0; k < in.channels; ++k) {
    for (size_t c = 0; c < outputs; ++c) {
      for (size_t place = 0; place < places; ++place) {
        made->set_weight(place, k, c, weights[(k * outputs + c) * places + place]);
      }
    }
  }
  for (size_t c = 0; bias && c < outputs; ++c) made->set_bias(0, c, bias[c]);
  return made;
}

}  // namespace zoo::native
