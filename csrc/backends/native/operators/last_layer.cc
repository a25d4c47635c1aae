#include "backends/native/operators/last_layer.h"

#include <algorithm>

namespace zoo::native {
namespace {

size_t rounded_up(size_t value, size_t to) { return (value + to - 1) / to * to; }

ptrdiff_t floor_divide(ptrdiff_t value, ptrdiff_t by) {
  return value >= 0 ? value / by : -((by - 1 - value) / by);
}

size_t image_bytes(const Shape& shape, const Finish& finish) {
  return shape.channels * shape.pixels() * (finish.levels ? 1 : sizeof(float));
}

// Of the sums of one row of one channel: those of the columns of each phase side by side, the
// images innermost.
struct RowLayout {
  size_t images;  // of a pixel
  size_t slots;   // of an input row
  size_t padded;  // a multiple of 16
  size_t margin;  // before and after a phase's sums, for what falls beside the picture
  size_t phase;   // floats from one phase to the next
  size_t phases;
  size_t row;                     // floats of a row
  size_t products, turned, sums;  // offsets in the scratch memory
  size_t size;

  size_t width;  // of the output

  RowLayout(const LastLayer& layer, const Place& in);
  // Columns of a phase, and its numbers.
  size_t columns(size_t which) const { return (width - which + phases - 1) / phases; }
  size_t values(size_t which) const { return columns(which) * images; }
};

class PlacedLastLayer : public Step {
 public:
  PlacedLastLayer(const Places& places, const LastLayer& layer);

  void run(const Run& run, size_t image, size_t count) const override;

 private:
  void multiply(const Memory& memory, size_t in, size_t y, float* scratch) const;
  void add_up(size_t y, float* scratch) const;
  void compose(const uint8_t* original, size_t channel, size_t y, size_t count, float* row) const;
  template <typename T>
  void spread(const T* row, size_t channel, size_t y, size_t count, T* out) const;

  const Kernels& kernels_;
  const LastLayer& layer_;
  Place in_;
  size_t scratch_;
  RowLayout layout_;
  std::vector<const Tile*> tiles_;
};

RowLayout::RowLayout(const LastLayer& layer, const Place& in) {
  images = in.grouped ? in.images : 1;
  slots = in.shape.width * images;
  padded = rounded_up(slots, kBlock);
  margin = rounded_up(layer.window.size * images, kBlock);
  phases = layer.transposed ? layer.window.stride : 1;
  phase = margin + padded + margin;
  row = phases * phase;
  const size_t columns = layer.products.out.blocks() * kBlock;
  products = 0;
  turned = products + columns * padded;
  sums = turned + columns * (padded + kBlock);
  size = sums + layer.out.channels * layer.out.height * row;
  width = layer.out.width;
}

PlacedLastLayer::PlacedLastLayer(const Places& places, const LastLayer& layer)
    : kernels_(places.kernels.of(places.in.front().wide)),
      layer_(layer),
      in_(places.in.front()),
      scratch_(places.scratch),
      layout_(layer, in_) {
  tiles_ = choose_tiles(kernels_, 1, layout_.slots, layer.products.out.blocks());
}

void PlacedLastLayer::multiply(const Memory& memory, size_t in, size_t y, float* scratch) const {
  const Products& products = layer_.products;
  const ptrdiff_t offset = 0;
  const uint32_t place = 0;
  TileCall call;
  call.in_block = in_.block;
  call.blocks = products.in.blocks();
  call.depth = products.in.channels - (call.blocks - 1) * kBlock;
  call.taps = 1;
  call.offsets = &offset;
  call.places = &place;
  call.tap_size = products.tap_size;
  call.column_size = products.column_size;
  call.out_block = layout_.padded * kBlock;
  call.out_step = kBlock;
  size_t column = 0;
  for (const Tile* tile : tiles_) {
    call.weights = products.packed.data() + column * products.column_size * kernels_.element;
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
    const size_t columns = layout_.columns(phase);
    for (size_t n = 0; n < count; ++n) {
      T* to = out + n * image + first + phase * step;
      for (size_t x = 0; x < columns; ++x) {
        to[x * layout_.phases * step] = from[x * layout_.images + n];
      }
    }
  }
}

// Puts the rows of images that came in together with what was computed: original bytes of the first
// of `count` images [H, W, channels].
void PlacedLastLayer::compose(const uint8_t* original, size_t channel, size_t y, size_t count,
                              float* row) const {
  const Original& how = layer_.finish.original.front();
  const Shape& shape = layer_.out;
  constexpr float kLevel = 255.0f;
  for (size_t n = 0; n < count; ++n) {
    const uint8_t* const pixels = original + (n * shape.pixels() + y * shape.width) * how.channels;
    for (size_t x = 0; x < shape.width; ++x) {
      float& value = row[x % layout_.phases * layout_.phase + layout_.margin +
                         x / layout_.phases * layout_.images + n];
      const uint8_t* const pixel = pixels + x * how.channels;
      const float given = static_cast<float>(pixel[channel]) / kLevel;
      if (how.kind == Original::kAdded) {
        value = given + value;
      } else {
        const float mask = static_cast<float>(pixel[how.channels - 1]) / kLevel;
        value = mask * given + (1.0f - mask) * value;
      }
      value = std::min(std::max(value, layer_.finish.low), layer_.finish.high);
    }
  }
}

void PlacedLastLayer::run(const Run& run, size_t image, size_t count) const {
  float* const scratch = run.memory.floats + scratch_;
  const size_t in = in_.grouped ? 0 : image * in_.image;
  const Shape& shape = layer_.out;
  for (size_t c = 0; c < shape.channels; ++c) {
    std::fill_n(scratch + layout_.sums + c * shape.height * layout_.row, shape.height * layout_.row,
                layer_.bias[c]);
  }
  for (size_t y = 0; y < layer_.in.height; ++y) {
    multiply(run.memory, in, y, scratch);
    add_up(y, scratch);
  }
  const Finish& f = layer_.finish;
  auto* const levels = reinterpret_cast<uint8_t*>(scratch + layout_.products);
  auto* const out =
      static_cast<uint8_t*>(run.outputs[0]) + (run.first + image) * image_bytes(shape, f);
  const Original* const original = f.original.empty() ? nullptr : f.original.data();
  for (size_t c = 0; c < shape.channels; ++c) {
    for (size_t y = 0; y < shape.height; ++y) {
      float* const row = scratch + layout_.sums + (c * shape.height + y) * layout_.row;
      for (size_t phase = 0; phase < layout_.phases; ++phase) {
        kernels_.squash(f.squash, f.scale, original ? -kHuge : f.low, original ? kHuge : f.high,
                        row + phase * layout_.phase + layout_.margin, layout_.values(phase));
      }
      if (original) {
        const auto* const given = static_cast<const uint8_t*>(run.inputs[original->input]);
        compose(given + (run.first + image) * shape.pixels() * original->channels, c, y, count,
                row);
      }
      if (f.levels) {
        for (size_t phase = 0; phase < layout_.phases; ++phase) {
          const size_t begin = phase * layout_.phase + layout_.margin;
          kernels_.to_levels(row + begin, layout_.values(phase), levels + begin);
        }
        spread(levels, c, y, count, out);
      } else {
        spread(row, c, y, count, reinterpret_cast<float*>(out));
      }
    }
  }
}

class PlacedDenseImage : public Step {
 public:
  PlacedDenseImage(const Places& places, const DenseImage& layer)
      : kernels_(places.kernels.of(places.in.front().wide)),
        layer_(layer),
        in_(places.in.front()),
        scratch_(places.scratch) {}

  void run(const Run& run, size_t image, size_t count) const override {
    float* const numbers = run.memory.floats + scratch_;
    const size_t pixels = layer_.image.pixels(), channels = layer_.image.channels;
    const size_t size = channels * pixels;
    const Finish& f = layer_.finish;
    auto* const levels = reinterpret_cast<uint8_t*>(numbers + rounded_up(size, kBlock));
    for (size_t n = image; n < image + count; ++n) {
      for (size_t block = 0; block < in_.shape.blocks(); ++block) {
        kernels_.load(run.memory.at(in_, block, 0, 0, n), numbers + block * kBlock);
      }
      kernels_.squash(f.squash, f.scale, f.low, f.high, numbers, size);
      auto* const out =
          static_cast<uint8_t*>(run.outputs[0]) + (run.first + n) * image_bytes(layer_.image, f);
      if (!f.levels) {
        std::copy_n(numbers, size, reinterpret_cast<float*>(out));
        continue;
      }
      kernels_.to_levels(numbers, size, levels);
      for (size_t c = 0; c < channels; ++c) {
        for (size_t p = 0; p < pixels; ++p) out[p * channels + c] = levels[c * pixels + p];
      }
    }
  }

 private:
  const Kernels& kernels_;
  const DenseImage& layer_;
  Place in_;
  size_t scratch_;
};

}  // namespace

size_t LastLayer::scratch(const Places& places) const {
  return RowLayout(*this, places.in.front()).size;
}

std::unique_ptr<Step> LastLayer::place(const Places& places) const {
  return std::make_unique<PlacedLastLayer>(places, *this);
}

size_t DenseImage::scratch(const Places&) const {
  return 2 * rounded_up(image.channels * image.pixels(), kBlock);
}

std::unique_ptr<Step> DenseImage::place(const Places& places) const {
  return std::make_unique<PlacedDenseImage>(places, *this);
}

std::unique_ptr<LastLayer> make_last_layer(const float* weights, const float* bias, const Shape& in,
                                           size_t channels, const Window& window, bool transposed,
                                           const Finish& finish) {
  auto made = std::make_unique<LastLayer>();
  made->in = in;
  made->window = window;
  made->transposed = transposed;
  made->finish = finish;
  made->bias.assign(channels, 0.0f);
  if (bias) std::copy_n(bias, channels, made->bias.begin());
  const size_t places = window.size * window.size;
  made->out.channels = channels;
  const auto side = [&](size_t length) {
    return transposed ? (length - 1) * window.stride + window.size - 2 * window.padding
                      : length + 2 * window.padding - window.size + 1;
  };
  made->out.height = side(in.height);
  made->out.width = side(in.width);
  made->products.in = in;
  made->products.out = {channels * places, in.height, in.width};
  made->products.rows = in.height;
  made->products.columns = in.width;
  made->products.allocate(1, 1);
  for (size_t c = 0; c < channels; ++c) {
    for (size_t k = 0; k < in.channels; ++k) {
      for (size_t place = 0; place < places; ++place) {
        const size_t from = transposed ? k * channels + c : c * in.channels + k;
        made->products.set_weight(0, k, c * places + place, weights[from * places + place]);
      }
    }
  }
  return made;
}

}  // namespace zoo::native
