#include "backends/native/operators/scattered_layer.h"

#include <algorithm>

namespace zoo::native {
namespace {

ptrdiff_t floor_divide(ptrdiff_t value, ptrdiff_t by) {
  return value >= 0 ? value / by : -((by - 1 - value) / by);
}

// Layout of the scratch memory. The sums of a row of one channel are stored by phase: the columns
// of a phase are contiguous, with the images innermost.
struct RowLayout {
  size_t images;  // images per pixel
  size_t slots;   // slots of an input row
  size_t padded;  // `slots`, rounded up to a multiple of 16
  size_t margin;  // before and after the sums of a phase, for products outside the image
  size_t phase;   // phase stride, in floats
  size_t phases;
  size_t row;                     // size of a row, in floats
  size_t products, turned, sums;  // offsets in the scratch memory
  size_t size;

  RowLayout(const ScatteredLayer& layer, const Place& in);
};

class PlacedScatteredLayer : public Step {
 public:
  PlacedScatteredLayer(const Places& places, const ScatteredLayer& layer);

  void run(const Run& run, size_t image, size_t count) const override;

 private:
  void multiply(const Memory& memory, size_t in, size_t y, float* scratch) const;
  void add_up(size_t y, float* scratch) const;

  const Kernels& kernels_;
  const Kernels& floats_;
  const ScatteredLayer& layer_;
  Place in_;
  size_t scratch_;
  RowLayout layout_;
  RowFinisher finisher_;
  std::vector<const Tile*> tiles_;
};

RowLayout::RowLayout(const ScatteredLayer& layer, const Place& in) {
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
}

PlacedScatteredLayer::PlacedScatteredLayer(const Places& places, const ScatteredLayer& layer)
    : kernels_(places.kernels.of(places.in.front().storage)),
      floats_(places.kernels.wide),
      layer_(layer),
      in_(places.in.front()),
      scratch_(places.scratch),
      layout_(layer, in_),
      finisher_(floats_, layer.finish, layer.out, layout_.phases, layout_.images) {
  tiles_ = choose_tiles(kernels_, 1, layout_.slots, layer.products.out.blocks());
}

void PlacedScatteredLayer::multiply(const Memory& memory, size_t in, size_t y,
                                    float* scratch) const {
  const Products& products = layer_.products;
  const ptrdiff_t offset = 0;
  const uint32_t place = 0;
  TileCall call = products.make_call();
  call.in_block = in_.block;
  call.taps = 1;
  call.offsets = &offset;
  call.places = &place;
  call.out_block = layout_.padded * kBlock;
  call.out_step = kBlock;
  size_t column = 0;
  for (const Tile* tile : tiles_) {
    call.weights = products.packed + column * products.column_size * kernels_.element;
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
    floats_.transpose(scratch + layout_.products + block * call.out_block, layout_.padded,
                      scratch + layout_.turned + block * kBlock * (layout_.padded + kBlock),
                      layout_.padded + kBlock);
  }
}

void PlacedScatteredLayer::add_up(size_t y, float* scratch) const {
  const auto [size, stride, padding] = layer_.window;
  const auto before = static_cast<ptrdiff_t>(padding);
  const auto places = [&](size_t at, size_t k) {
    // Returns the output position of product k of input row or column `at`: the phase, and the
    // index within the phase.
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
        floats_.add(products, layout_.slots,
                    row + phase * layout_.phase + layout_.margin +
                        first * static_cast<ptrdiff_t>(layout_.images));
      }
    }
  }
}

void PlacedScatteredLayer::run(const Run& run, size_t image, size_t count) const {
  float* const scratch = run.memory.scratch + scratch_;
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
  auto* const levels = reinterpret_cast<uint8_t*>(scratch + layout_.products);
  for (size_t c = 0; c < shape.channels; ++c) {
    for (size_t y = 0; y < shape.height; ++y) {
      float* const row = scratch + layout_.sums + (c * shape.height + y) * layout_.row;
      for (size_t phase = 0; phase < layout_.phases; ++phase) {
        finisher_.run(run, image, count, c, y, phase, row + phase * layout_.phase + layout_.margin,
                      levels);
      }
    }
  }
}

}  // namespace

size_t ScatteredLayer::scratch(const Places& places) const {
  return RowLayout(*this, places.in.front()).size;
}

std::unique_ptr<Step> ScatteredLayer::place(const Places& places) const {
  return std::make_unique<PlacedScatteredLayer>(places, *this);
}

std::unique_ptr<ScatteredLayer> make_scattered_layer(const float* weights, const float* bias,
                                                     const Shape& in, size_t channels,
                                                     const Window& window, bool transposed,
                                                     const Finish& finish) {
  auto made = std::make_unique<ScatteredLayer>();
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
