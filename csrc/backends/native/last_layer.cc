#include "backends/native/last_layer.h"

#include <algorithm>

namespace zoo::native {
namespace {

size_t rounded_up(size_t value, size_t to) { return (value + to - 1) / to * to; }

ptrdiff_t floor_divide(ptrdiff_t value, ptrdiff_t by) {
  return value >= 0 ? value / by : -((by - 1 - value) / by);
}

}  // namespace

LastLayer make_last_layer(const float* weights, const float* bias, const Shape& in, size_t channels,
                          const Window& window, bool transposed, const Finish& finish) {
  LastLayer made;
  made.in = in;
  made.window = window;
  made.transposed = transposed;
  made.finish = finish;
  made.bias.assign(channels, 0.0f);
  if (bias) std::copy_n(bias, channels, made.bias.begin());
  const size_t places = window.size * window.size;
  made.out.channels = channels;
  const auto side = [&](size_t length) {
    return transposed ? (length - 1) * window.stride + window.size - 2 * window.padding
                      : length + 2 * window.padding - window.size + 1;
  };
  made.out.height = side(in.height);
  made.out.width = side(in.width);
  made.products.in = in;
  made.products.out = {channels * places, in.height, in.width};
  made.products.rows = in.height;
  made.products.columns = in.width;
  made.products.allocate(1, 1);
  for (size_t c = 0; c < channels; ++c) {
    for (size_t k = 0; k < in.channels; ++k) {
      for (size_t place = 0; place < places; ++place) {
        const size_t from = transposed ? k * channels + c : c * in.channels + k;
        made.products.set_weight(0, k, c * places + place, weights[from * places + place]);
      }
    }
  }
  return made;
}

PlacedLastLayer::Layout PlacedLastLayer::layout(const LastLayer& layer, const Place& in) {
  Layout l{};
  l.images = in.grouped ? in.images : 1;
  l.slots = in.shape.width * l.images;
  l.padded = rounded_up(l.slots, kBlock);
  l.margin = rounded_up(layer.window.size * l.images, kBlock);
  l.phases = layer.transposed ? layer.window.stride : 1;
  l.phase = l.margin + l.padded + l.margin;
  l.row = l.phases * l.phase;
  const size_t columns = layer.products.out.blocks() * kBlock;
  l.products = 0;
  l.turned = l.products + columns * l.padded;
  l.sums = l.turned + columns * (l.padded + kBlock);
  l.size = l.sums + layer.out.channels * layer.out.height * l.row;
  return l;
}

size_t PlacedLastLayer::scratch_size(const LastLayer& layer, const Place& in) {
  return layout(layer, in).size;
}

PlacedLastLayer::PlacedLastLayer(const Kernels& kernels, const LastLayer& layer, const Place& in,
                                 size_t scratch)
    : kernels_(kernels), layer_(layer), in_(in), scratch_(scratch), layout_(layout(layer, in)) {
  tiles_ = choose_tiles(kernels, 1, layout_.slots, layer.products.out.blocks());
}

void PlacedLastLayer::multiply(const Memory& memory, size_t in, size_t y, float* scratch) const {
  const Products& products = layer_.products;
  const ptrdiff_t offset = 0;
  const uint32_t place = 0;
  TileCall call;
  call.in_block = in_.block;
  call.blocks = products.in.blocks();
  call.taps = 1;
  call.offsets = &offset;
  call.places = &place;
  call.tap_size = products.tap_size;
  call.column_size = products.column_size;
  call.out_block = layout_.padded * kBlock;
  call.out_step = kBlock;
  size_t column = 0;
  for (const Tile* tile : tiles_) {
    call.weights = products.packed.data() + column * products.column_size * memory.element;
    call.bias = products.biases.data() + column * kBlock;
    for (size_t done = 0; done < layout_.slots; done += tile->rows) {
      const size_t first = std::min(done, layout_.slots - tile->rows);
      call.in = memory.at(in_, in + in_.at(y, 0, 0) + first * kBlock);
      call.out = scratch + layout_.products + column * call.out_block + first * kBlock;
      tile->run_sums(call);
    }
    column += tile->columns;
  }
  for (size_t block = 0; block < column; ++block) {
    kernels_.transpose(scratch + layout_.products + block * call.out_block, layout_.padded,
                       scratch + layout_.turned + block * kBlock * (layout_.padded + kBlock),
                       layout_.padded + kBlock);
  }
}

void PlacedLastLayer::add_up(size_t y, float* scratch) const {
  const auto [size, stride, padding] = layer_.window;
  const auto before = static_cast<ptrdiff_t>(padding);
  const auto places = [&](size_t at, size_t k) {
    // Where product k of input row or column `at` goes: the output's phase, and its place there.
    const auto by = static_cast<ptrdiff_t>(k);
    if (!layer_.transposed) {
      return std::pair<size_t, ptrdiff_t>(0, static_cast<ptrdiff_t>(at) + before - by);
    }
    const auto step = static_cast<ptrdiff_t>(stride);
    const ptrdiff_t shift = floor_divide(by - before, step);
    return std::pair<size_t, ptrdiff_t>(static_cast<size_t>(by - before - shift * step),
                                        static_cast<ptrdiff_t>(at) + shift);
  };
  for (size_t ky = 0; ky < size; ++ky) {
    const auto [phase_y, in_phase] = places(y, ky);
    const ptrdiff_t out_y = layer_.transposed ? in_phase * static_cast<ptrdiff_t>(stride) +
                                                    static_cast<ptrdiff_t>(phase_y)
                                              : in_phase;
    if (out_y < 0 || out_y >= static_cast<ptrdiff_t>(layer_.out.height)) continue;
    for (size_t c = 0; c < layer_.out.channels; ++c) {
      float* row = scratch + layout_.sums +
                   (c * layer_.out.height + static_cast<size_t>(out_y)) * layout_.row;
      for (size_t kx = 0; kx < size; ++kx) {
        const auto [phase, first] = places(0, kx);
        const float* products =
            scratch + layout_.turned + ((c * size + ky) * size + kx) * (layout_.padded + kBlock);
        kernels_.add(products, layout_.slots,
                     row + phase * layout_.phase + layout_.margin +
                         first * static_cast<ptrdiff_t>(layout_.images));
      }
    }
  }
}

template <typename T>
void PlacedLastLayer::spread(const T* row, size_t channel, size_t y, size_t count, T* out) const {
  const Shape& shape = layer_.out;
  const bool bytes = sizeof(T) == 1;
  const size_t image = shape.channels * shape.pixels();
  const size_t step = bytes ? shape.channels : 1;
  const size_t first =
      bytes ? y * shape.width * step + channel : channel * shape.pixels() + y * shape.width;
  for (size_t phase = 0; phase < layout_.phases; ++phase) {
    const T* from = row + phase * layout_.phase + layout_.margin;
    const size_t columns = (shape.width - phase + layout_.phases - 1) / layout_.phases;
    for (size_t n = 0; n < count; ++n) {
      T* to = out + n * image + first + phase * step;
      for (size_t x = 0; x < columns; ++x) {
        to[x * layout_.phases * step] = from[x * layout_.images + n];
      }
    }
  }
}

void PlacedLastLayer::finish(size_t count, float* scratch, void* out) const {
  const Finish& f = layer_.finish;
  auto* levels = reinterpret_cast<uint8_t*>(scratch + layout_.products);
  for (size_t c = 0; c < layer_.out.channels; ++c) {
    for (size_t y = 0; y < layer_.out.height; ++y) {
      float* row = scratch + layout_.sums + (c * layer_.out.height + y) * layout_.row;
      kernels_.squash(f.squash, f.scale, f.low, f.high, row, layout_.row);
      if (f.levels) {
        kernels_.to_levels(row, layout_.row, levels);
        spread(levels, c, y, count, static_cast<uint8_t*>(out));
      } else {
        spread(row, c, y, count, static_cast<float*>(out));
      }
    }
  }
}

void PlacedLastLayer::run(const Memory& memory, size_t image, size_t count, void* out) const {
  float* const scratch = memory.floats + scratch_;
  const size_t in = (in_.grouped ? 0 : image * in_.image);
  for (size_t c = 0; c < layer_.out.channels; ++c) {
    std::fill_n(scratch + layout_.sums + c * layer_.out.height * layout_.row,
                layer_.out.height * layout_.row, layer_.bias[c]);
  }
  for (size_t y = 0; y < layer_.in.height; ++y) {
    multiply(memory, in, y, scratch);
    add_up(y, scratch);
  }
  finish(count, scratch, out);
}

size_t dense_image_scratch(const DenseImage& layer) {
  return 2 * rounded_up(layer.image.channels * layer.image.pixels(), kBlock);
}

void run_dense_image(const Kernels& kernels, const DenseImage& layer, const Place& in,
                     const Memory& memory, size_t image, size_t count, size_t place, void* out) {
  float* const scratch = memory.floats + place;
  const size_t pixels = layer.image.pixels(), channels = layer.image.channels;
  const size_t size = channels * pixels;
  const Finish& f = layer.finish;
  auto* levels = reinterpret_cast<uint8_t*>(scratch + rounded_up(size, kBlock));
  for (size_t n = 0; n < count; ++n) {
    const size_t from = in.at(0, 0, in.grouped ? n : image);
    for (size_t block = 0; block < in.shape.blocks(); ++block) {
      kernels.load(memory.at(in, from + block * in.block), scratch + block * kBlock);
    }
    kernels.squash(f.squash, f.scale, f.low, f.high, scratch, size);
    if (!f.levels) {
      std::copy_n(scratch, size, static_cast<float*>(out) + n * size);
      continue;
    }
    kernels.to_levels(scratch, size, levels);
    uint8_t* to = static_cast<uint8_t*>(out) + n * size;
    for (size_t c = 0; c < channels; ++c) {
      for (size_t p = 0; p < pixels; ++p) to[p * channels + c] = levels[c * pixels + p];
    }
  }
}

}  // namespace zoo::native
