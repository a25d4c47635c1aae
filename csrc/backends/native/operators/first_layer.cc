#include "backends/native/operators/first_layer.h"

#include <algorithm>
#include <cstring>

namespace zoo::native {
namespace {

// Maximum of channels times kernel width; above it, a map in blocks of 16 channels is as fast.
constexpr size_t kMostDepth = 256;

class PlacedFirstLayer : public Step {
 public:
  PlacedFirstLayer(const Places& places, const FirstLayer& layer)
      : kernels_(places.kernels.of(places.out.storage)),
        layer_(layer),
        out_(places.out),
        scratch_(places.scratch) {
    const Products& products = layer.products;
    tiles_ = choose_tiles(kernels_, 0, products.columns, products.out.blocks());
    for (size_t ky = 0; ky < layer.window.size; ++ky) {
      offsets_.push_back(static_cast<ptrdiff_t>(ky * layer.row()));
      places_.push_back(static_cast<uint32_t>(ky));
    }
  }

  void run(const Run& run, size_t image, size_t count) const override {
    auto* const rows = reinterpret_cast<unsigned char*>(run.memory.scratch + scratch_);
    for (size_t n = image; n < image + count; ++n) {
      for (size_t y = 0; y < layer_.image.height; ++y) read_row(run, run.first + n, y, rows);
      size_t column = 0;
      for (const Tile* tile : tiles_) {
        multiply(*tile, column, rows, run.memory, n);
        column += tile->columns;
      }
    }
  }

  std::string kernel() const override { return "pixels " + describe_tiles(tiles_); }

 private:
  unsigned char* element(unsigned char* rows, size_t index) const {
    return rows + index * kernels_.element;
  }

  void read_row(const Run& run, size_t image, size_t y, unsigned char* rows) const {
    const Shape& shape = layer_.image;
    const bool repeats = layer_.parts.size() > 1;
    // Parts that are equal at every pixel are the same in all rows, so the first row is copied.
    if (repeats && y > 0) {
      std::memcpy(element(rows, y * layer_.row()), rows, layer_.row() * kernels_.element);
    }
    const size_t begin = y * layer_.row() + layer_.window.padding * shape.channels;
    size_t channel = 0;
    for (const Part& part : layer_.parts) {
      if (part.kind == Part::kLevels) {
        const size_t width = shape.width * part.channels;
        const uint8_t* const levels = static_cast<const uint8_t*>(run.inputs[part.input]) +
                                      (image * shape.height + y) * width;
        if (part.channels == shape.channels) {
          kernels_.from_levels(levels, width, part.scaling, element(rows, begin));
        } else {
          // Converted into the spare row after all rows, then interleaved with the other channels.
          unsigned char* const apart = element(rows, shape.height * layer_.row());
          kernels_.from_levels(levels, width, part.scaling, apart);
          spread(apart, part.channels, part.channels, element(rows, begin + channel));
        }
      } else if (y == 0) {
        float values[kBlock] = {};
        unsigned char elements[kBlock * sizeof(float)];
        for (size_t c = 0; c < part.channels; c += kBlock) {
          const size_t some = std::min(kBlock, part.channels - c);
          for (size_t i = 0; i < some; ++i) values[i] = part.of_image(run, image, c + i);
          kernels_.store(values, elements);
          spread(elements, some, 0, element(rows, begin + channel + c));
        }
      }
      channel += part.channels;
    }
  }

  // Copies `channels` elements per pixel of a row, with a pixel stride of `step` in the source, to
  // their position among the channels of the image.
  void spread(const unsigned char* from, size_t channels, size_t step, unsigned char* to) const {
    if (kernels_.element == sizeof(float)) {
      spread(reinterpret_cast<const uint32_t*>(from), channels, step,
             reinterpret_cast<uint32_t*>(to));
    } else {
      spread(reinterpret_cast<const uint16_t*>(from), channels, step,
             reinterpret_cast<uint16_t*>(to));
    }
  }

  template <typename Bits>
  void spread(const Bits* from, size_t channels, size_t step, Bits* to) const {
    for (size_t x = 0; x < layer_.image.width; ++x) {
      for (size_t c = 0; c < channels; ++c) to[c] = from[c];
      from += step;
      to += layer_.image.channels;
    }
  }

  void multiply(const Tile& tile, size_t column, unsigned char* rows, const Memory& memory,
                size_t image) const {
    const Products& products = layer_.products;
    TileCall call = products.make_call();
    call.in_step = layer_.window.stride * layer_.image.channels;
    call.in_block = kBlock;
    call.weights = products.packed + column * products.column_size * kernels_.element;
    call.bias = products.biases.data() + column * kBlock;
    call.out_block = out_.block;
    call.out_step = out_.column;
    const size_t padding = layer_.window.padding, height = layer_.image.height;
    for (size_t y = 0; y < products.rows; ++y) {
      // Range of kernel rows that lie inside the image.
      const size_t top = y * layer_.window.stride;
      const size_t before = top < padding ? padding - top : 0;
      const size_t end = std::min(layer_.window.size, height + padding - top);
      call.taps = end - before;
      call.offsets = offsets_.data();
      call.places = places_.data() + before;
      const size_t first_row = top + before - padding;
      for (size_t done = 0; done < products.columns; done += tile.rows) {
        const size_t x = std::min(done, products.columns - tile.rows);
        call.in = element(rows, first_row * layer_.row() + x * call.in_step);
        call.out = memory.at(out_, column, y, x, image);
        tile.run(call);
      }
    }
  }

  const Kernels& kernels_;
  const FirstLayer& layer_;
  Place out_;
  size_t scratch_;
  std::vector<ptrdiff_t> offsets_;
  std::vector<uint32_t> places_;
  std::vector<const Tile*> tiles_;
};

}  // namespace

Layout FirstLayer::layout(size_t images, size_t element) const {
  return products.layout(images, element);
}

size_t FirstLayer::scratch(const Places&) const {
  // One spare row for interleaving, and one block because bfloat16 products read pairs of channels
  // and may read past the end.
  return row() * (image.height + 1) + kBlock;
}

std::unique_ptr<Step> FirstLayer::place(const Places& places) const {
  return std::make_unique<PlacedFirstLayer>(places, *this);
}

bool suits_first_layer(const Read& read, const Window& window) {
  return read.shape.channels * window.size <= kMostDepth && read.shape.pixels() > 1 &&
         std::all_of(read.parts.begin(), read.parts.end(),
                     [](const Part& part) { return part.kind != Part::kNumbers; });
}

std::unique_ptr<FirstLayer> make_first_layer(const float* weights, const float* bias,
                                             const Read& read, size_t outputs, const Window& window,
                                             Activation activation) {
  auto layer = std::make_unique<FirstLayer>();
  layer->image = read.shape;
  layer->parts = read.parts;
  layer->window = window;
  const size_t channels = read.shape.channels, size = window.size;
  Products& products = layer->products;
  products.in = {channels * size, read.shape.height, read.shape.width};
  products.out = convolved(read.shape, outputs, window);
  products.in_stride = window.stride;
  products.rows = products.out.height;
  products.columns = products.out.width;
  products.activation = activation;
  products.allocate(size, 1);
  Phase phase{0, 0, {}, 0};
  for (size_t ky = 0; ky < size; ++ky) {
    phase.taps.push_back(
        {static_cast<int>(ky) - static_cast<int>(window.padding), 0, static_cast<uint32_t>(ky)});
    for (size_t c = 0; c < outputs; ++c) {
      for (size_t kx = 0; kx < size; ++kx) {
        for (size_t k = 0; k < channels; ++k) {
          products.set_weight(ky, kx * channels + k, c,
                              weights[((c * channels + k) * size + ky) * size + kx]);
        }
      }
    }
  }
  products.phases.push_back(std::move(phase));
  for (size_t c = 0; bias && c < outputs; ++c) products.set_bias(0, c, bias[c]);
  return layer;
}

}  // namespace zoo::native
