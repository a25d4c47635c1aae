#include "backends/native/operators/winograd.h"

#include <algorithm>

namespace zoo::native {
namespace {

constexpr size_t kSide = 4;    // outputs of a tile along a side
constexpr size_t kWindow = 6;  // inputs
constexpr size_t kPlaces = kWindow * kWindow;

// Slots that are transformed together: their windows and products stay in the second-level cache.
constexpr size_t kSlots = 16;

// Transformed kernels beyond this are better read a fourth as often; in bytes.
constexpr size_t kMostWeights = 5 * 512 * 1024;

// Maps of fewer pixels have too few tiles to fill the kernels'.
constexpr size_t kLeastPixels = 49;

// Rows of G: kernels of 3 to 6 places.
constexpr double kKernelTransform[kWindow][3] = {
    {1.0 / 4, 0, 0},
    {-1.0 / 6, -1.0 / 6, -1.0 / 6},
    {-1.0 / 6, 1.0 / 6, -1.0 / 6},
    {1.0 / 24, 1.0 / 12, 1.0 / 6},
    {1.0 / 24, -1.0 / 12, 1.0 / 6},
    {0, 0, 1},
};

size_t tiles_along(size_t length) { return (length + kSide - 1) / kSide; }

// How the slots of a chunk of tiles lie in the scratch memory.
struct ChunkLayout {
  size_t images;  // of a tile
  size_t tiles;   // of a chunk
  size_t slots;
  size_t window_place;   // floats from one place's windows to the next's
  size_t product_place;  // the same of products, of all columns
  size_t size;

  ChunkLayout(const Winograd& layer, const Place& in) {
    const Shape& out = layer.direct->out;
    images = in.grouped ? in.images : 1;
    tiles = std::min(tiles_along(out.height) * tiles_along(out.width),
                     std::max<size_t>(1, kSlots / images));
    slots = tiles * images;
    // One block more, or all places would lie in the same sets of the cache.
    window_place = (layer.direct->in.blocks() * slots + 1) * kBlock;
    product_place = (out.blocks() * slots + 1) * kBlock;
    size = kPlaces * (window_place + product_place);
  }
};

class PlacedWinograd : public Step {
 public:
  PlacedWinograd(const Places& places, const Winograd& layer)
      : kernels_(places.kernels.of(places.in.front().wide)),
        layer_(layer),
        in_(places.in.front()),
        out_(places.out),
        scratch_(places.scratch),
        chunk_(layer, in_),
        tiles_(choose_tiles(kernels_, 1, chunk_.slots, layer.direct->out.blocks())),
        zeros_(layer.direct->out.blocks() * kBlock, 0.0f) {}

  void run(const Run& run, size_t image, size_t count) const override {
    const Shape& out = layer_.direct->out;
    const size_t tiles = tiles_along(out.height) * tiles_along(out.width);
    const size_t steps = in_.grouped ? 1 : count;
    for (size_t n = 0; n < steps; ++n) {
      for (size_t done = 0; done < tiles; done += chunk_.tiles) {
        // The last chunk begins early where it would stick out.
        run_chunk(run.memory, image + n, std::min(done, tiles - chunk_.tiles));
      }
    }
  }

  std::string kernel() const override {
    return std::string("Winograd ") + (in_.grouped ? "images " : "pixels ") +
           describe_tiles(tiles_);
  }

 private:
  void run_chunk(const Memory& memory, size_t image, size_t first) const {
    float* const windows = memory.floats + scratch_;
    float* const products = windows + kPlaces * chunk_.window_place;
    transform_windows(memory, image, first, windows);
    size_t column = 0;
    for (const Tile* tile : tiles_) {
      multiply(*tile, column, windows, products);
      column += tile->columns;
    }
    transform_products(memory, image, first, products);
  }

  // Calls with the slot, the tile's row and column, and the image, of each slot of a chunk.
  template <typename Call>
  void for_slots(size_t image, size_t first, const Call& call) const {
    const size_t across = tiles_along(layer_.direct->out.width);
    size_t slot = 0;
    for (size_t tile = first; tile < first + chunk_.tiles; ++tile) {
      for (size_t n = 0; n < chunk_.images; ++n) {
        call(slot++, tile / across * kSide, tile % across * kSide, in_.grouped ? n : image);
      }
    }
  }

  void transform_windows(const Memory& memory, size_t image, size_t first, float* windows) const {
    const Shape& shape = layer_.direct->in;
    const auto before = static_cast<ptrdiff_t>(layer_.padding_before);
    WindowCall call;
    call.row = in_.row;
    call.column = in_.column;
    call.height = shape.height;
    call.width = shape.width;
    call.out_step = chunk_.window_place;
    for (size_t block = 0; block < shape.blocks(); ++block) {
      for_slots(image, first, [&](size_t slot, size_t y, size_t x, size_t n) {
        call.in = memory.at(in_, block, 0, 0, n);
        call.y = static_cast<ptrdiff_t>(y) - before;
        call.x = static_cast<ptrdiff_t>(x) - before;
        call.out = windows + (block * chunk_.slots + slot) * kBlock;
        kernels_.transform_window(call);
      });
    }
  }

  void multiply(const Tile& tile, size_t column, const float* windows, float* products) const {
    const Products& places = layer_.places;
    const ptrdiff_t offset = 0;
    TileCall call;
    call.in_block = chunk_.slots * kBlock;
    call.blocks = places.in.blocks();
    call.depth = places.in.channels - (call.blocks - 1) * kBlock;
    call.taps = 1;
    call.offsets = &offset;
    call.weights = places.packed.data() + column * places.column_size * sizeof(float);
    call.tap_size = places.tap_size;
    call.column_size = places.column_size;
    call.bias = zeros_.data();
    call.out_block = chunk_.slots * kBlock;
    call.out_step = kBlock;
    for (uint32_t place = 0; place < kPlaces; ++place) {
      call.places = &place;
      for (size_t done = 0; done < chunk_.slots; done += tile.rows) {
        const size_t slot = std::min(done, chunk_.slots - tile.rows);
        call.in = windows + place * chunk_.window_place + slot * kBlock;
        call.out =
            products + place * chunk_.product_place + column * call.out_block + slot * kBlock;
        tile.run_sums(call);
      }
    }
  }

  void transform_products(const Memory& memory, size_t image, size_t first,
                          const float* products) const {
    const Shape& shape = layer_.direct->out;
    ProductCall call;
    call.in_step = chunk_.product_place;
    call.row = out_.row;
    call.column = out_.column;
    call.slope = layer_.direct->activation.slope;
    for (size_t block = 0; block < shape.blocks(); ++block) {
      call.bias = layer_.direct->biases.data() + block * kBlock;
      for_slots(image, first, [&](size_t slot, size_t y, size_t x, size_t n) {
        call.in = products + (block * chunk_.slots + slot) * kBlock;
        call.out = memory.at(out_, block, y, x, n);
        call.height = std::min(kSide, shape.height - y);
        call.width = std::min(kSide, shape.width - x);
        kernels_.transform_products(call);
      });
    }
  }

  const Kernels& kernels_;
  const Winograd& layer_;
  Place in_, out_;
  size_t scratch_;
  ChunkLayout chunk_;
  std::vector<const Tile*> tiles_;
  Floats zeros_;
};

}  // namespace

Winograd::Winograd(std::unique_ptr<Products> convolution, size_t before)
    : direct(std::move(convolution)), padding_before(before) {}

Layout Winograd::layout(size_t images, size_t element) const {
  return direct->layout(images, element);
}

size_t Winograd::scratch(const Places& where) const {
  return is_transformed() ? ChunkLayout(*this, where.in.front()).size : 0;
}

void Winograd::pack(const Kernels& kernels) {
  if (!kernels.transform_window) {
    direct->pack(kernels);
    return;
  }
  places.in = direct->in;
  places.out = direct->out;
  places.allocate(kPlaces, 0);
  for (size_t column = 0; column < direct->out.blocks(); ++column) {
    for (size_t at = 0; at < direct->tap_size; ++at) {
      double kernel[3][3];
      for (size_t k = 0; k < 9; ++k) {
        const size_t from = column * direct->column_size + k * direct->tap_size + at;
        kernel[k / 3][k % 3] = static_cast<double>(direct->weights[from]);
      }
      for (size_t y = 0; y < kWindow; ++y) {
        for (size_t x = 0; x < kWindow; ++x) {
          double sum = 0;
          for (size_t k = 0; k < 9; ++k) {
            sum += kKernelTransform[y][k / 3] * kernel[k / 3][k % 3] * kKernelTransform[x][k % 3];
          }
          const size_t place = y * kWindow + x;
          places.weights[column * places.column_size + place * places.tap_size + at] =
              static_cast<float>(sum);
        }
      }
    }
  }
  places.pack(kernels);
  direct->weights = {};
}

std::unique_ptr<Step> Winograd::place(const Places& where) const {
  if (!is_transformed()) return direct->place(where);
  return std::make_unique<PlacedWinograd>(where, *this);
}

bool suits_winograd(const Shape& in, size_t outputs, const Window& window) {
  const Shape out = convolved(in, outputs, window);
  const size_t bytes = kPlaces * in.blocks() * out.blocks() * kBlock * kBlock * sizeof(float);
  return window.size == 3 && window.stride == 1 && in.channels >= kBlock &&
         out.pixels() >= kLeastPixels && bytes <= kMostWeights;
}

}  // namespace zoo::native
