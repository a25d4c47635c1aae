#include "backends/native/operators/winograd.h"

#include <algorithm>

namespace zoo::native {
namespace {

constexpr size_t kSide = 4;  // outputs of a tile along a side

// Slots that are transformed together: their windows and products stay in the second-level cache.
constexpr size_t kSlots = 16;

// Transformed kernels that stay in the second-level cache, in bytes; of more, products that are
// formed in the time in which a byte is read.
constexpr size_t kCachedKernels = 256 * 1024;
constexpr size_t kProductsPerByte = 1;

size_t tiles_along(size_t length) { return (length + kSide - 1) / kSide; }

size_t tile_count(const Products& direct) {
  return tiles_along(direct.rows) * tiles_along(direct.columns);
}

// Where a tap reads, along one side: the phase of the input, and the pixel of that phase.
struct Reach {
  size_t phase;
  ptrdiff_t pixel;

  Reach(int by, size_t stride) {
    const auto step = static_cast<ptrdiff_t>(stride);
    const ptrdiff_t rest = (by % step + step) % step;
    phase = static_cast<size_t>(rest);
    pixel = (by - rest) / step;
  }
};

// The taps of one phase of the output that read one phase of the input.
struct Part {
  size_t phase_y, phase_x;
  std::vector<Tap> taps;  // (dy, dx) in pixels of the phase
};

std::vector<Part> split(const Phase& phase, size_t stride) {
  std::vector<Part> parts;
  for (const Tap& tap : phase.taps) {
    const Reach y(tap.dy, stride), x(tap.dx, stride);
    auto part = std::find_if(parts.begin(), parts.end(), [&](const Part& one) {
      return one.phase_y == y.phase && one.phase_x == x.phase;
    });
    if (part == parts.end()) part = parts.insert(part, {y.phase, x.phase, {}});
    part->taps.push_back({static_cast<int>(y.pixel), static_cast<int>(x.pixel), tap.weights});
  }
  return parts;
}

int least(const Part& part, int Tap::* side) {
  int found = part.taps.front().*side;
  for (const Tap& tap : part.taps) found = std::min(found, tap.*side);
  return found;
}

// Taps along a side that hold all those of a convolution's parts.
size_t span(const Products& direct) {
  int most = 0;
  for (const Phase& phase : direct.phases) {
    for (const Part& part : split(phase, direct.in_stride)) {
      for (const Tap& tap : part.taps) {
        most = std::max({most, tap.dy - least(part, &Tap::dy), tap.dx - least(part, &Tap::dx)});
      }
    }
  }
  return static_cast<size_t>(most) + 1;
}

// The transformed kernels of a part, from the `first`th tap of `places` on.
void transform_kernels(const Kernels& kernels, const Products& direct, const Part& part,
                       size_t size, size_t first, Products* places) {
  const int top = least(part, &Tap::dy), left = least(part, &Tap::dx);
  KernelCall call{};
  call.size = size;
  call.out_step = places->tap_size;
  for (size_t column = 0; column < direct.out.blocks(); ++column) {
    const float* const from = direct.weights.data() + column * direct.column_size;
    float* const to =
        places->weights.data() + column * places->column_size + first * places->tap_size;
    for (size_t at = 0; at < direct.tap_size; at += kBlock) {
      for (const Tap& tap : part.taps) {
        const auto y = static_cast<size_t>(tap.dy - top), x = static_cast<size_t>(tap.dx - left);
        call.taps[y * (size - 3) + x] = from + tap.weights * direct.tap_size + at;
      }
      call.out = to + at;
      kernels.transform_kernel(call);
    }
  }
}

// How the slots of a chunk of tiles lie in the scratch memory.
struct ChunkLayout {
  size_t places;
  size_t images;  // of a tile
  size_t tiles;   // of a chunk
  size_t slots;
  size_t window_place;   // floats from one place's windows to the next's
  size_t window_source;  // and from one source's
  size_t product_place;
  size_t products;  // where they begin
  size_t size;

  ChunkLayout(const Winograd& layer, const Place& in) {
    const Products& direct = *layer.direct;
    places = layer.window() * layer.window();
    images = in.grouped ? in.images : 1;
    tiles = std::min(tile_count(direct), std::max<size_t>(1, kSlots / images));
    slots = tiles * images;
    // One block more, or all places would lie in the same sets of the cache.
    window_place = (direct.in.blocks() * slots + 1) * kBlock;
    window_source = places * window_place;
    product_place = (direct.out.blocks() * slots + 1) * kBlock;
    size_t most = 0;
    for (const Winograd::Sum& sum : layer.sums) most = std::max(most, sum.sources.size());
    products = most * window_source;
    size = products + places * product_place;
  }
};

class PlacedWinograd : public Step {
 public:
  PlacedWinograd(const Places& where, const Winograd& layer)
      : in_kernels_(where.kernels.of(where.in.front().wide)),
        out_kernels_(where.kernels.of(where.out.wide)),
        layer_(layer),
        direct_(*layer.direct),
        in_(where.in.front()),
        out_(where.out),
        scratch_(where.scratch),
        chunk_(layer, in_),
        tiles_(choose_tiles(where.kernels.wide, 1, chunk_.slots, direct_.out.blocks())),
        zeros_(direct_.out.blocks() * kBlock, 0.0f) {
    const size_t most = chunk_.products / chunk_.window_source;
    for (size_t i = 0; i < most; ++i) {
      offsets_.push_back(static_cast<ptrdiff_t>(i * chunk_.window_source));
    }
  }

  void run(const Run& run, size_t image, size_t count) const override {
    float* const scratch = run.memory.floats + scratch_;
    const size_t tiles = tile_count(direct_);
    for (size_t n = 0; n < (in_.grouped ? 1 : count); ++n) {
      for (size_t done = 0; done < tiles; done += chunk_.tiles) {
        // The last chunk begins early where it would stick out.
        const size_t first = std::min(done, tiles - chunk_.tiles);
        for (size_t i = 0; i < layer_.sums.size(); ++i) {
          const Winograd::Sum& sum = layer_.sums[i];
          for (size_t k = 0; k < sum.sources.size(); ++k) {
            transform_windows(run.memory, image + n, first, layer_.sources[sum.sources[k]],
                              scratch + k * chunk_.window_source);
          }
          multiply(sum, scratch);
          transform_products(run.memory, image + n, first, direct_.phases[i], scratch);
        }
      }
    }
  }

  std::string kernel() const override {
    return "F(4×4, " + std::to_string(layer_.taps) + "×" + std::to_string(layer_.taps) + ") " +
           (in_.grouped ? "images " : "pixels ") + describe_tiles(tiles_);
  }

 private:
  // Calls with the slot, the tile's row and column, and the image, of each slot of a chunk.
  template <typename Call>
  void for_slots(size_t image, size_t first, const Call& call) const {
    const size_t across = tiles_along(direct_.columns);
    size_t slot = 0;
    for (size_t tile = first; tile < first + chunk_.tiles; ++tile) {
      for (size_t n = 0; n < chunk_.images; ++n) {
        call(slot++, tile / across * kSide, tile % across * kSide, in_.grouped ? n : image);
      }
    }
  }

  void transform_windows(const Memory& memory, size_t image, size_t first,
                         const WindowSource& source, float* windows) const {
    const Shape& shape = direct_.in;
    const size_t stride = direct_.in_stride;
    WindowCall call;
    call.size = layer_.window();
    call.row = in_.row * stride;
    call.column = in_.column * stride;
    call.height = (shape.height - source.phase_y + stride - 1) / stride;
    call.width = (shape.width - source.phase_x + stride - 1) / stride;
    call.out_step = chunk_.window_place;
    for (size_t block = 0; block < shape.blocks(); ++block) {
      for_slots(image, first, [&](size_t slot, size_t y, size_t x, size_t n) {
        call.in = memory.at(in_, block, source.phase_y, source.phase_x, n);
        call.y = static_cast<ptrdiff_t>(y) + source.begin_y;
        call.x = static_cast<ptrdiff_t>(x) + source.begin_x;
        call.out = windows + (block * chunk_.slots + slot) * kBlock;
        in_kernels_.transform_window(call);
      });
    }
  }

  void multiply(const Winograd::Sum& sum, float* scratch) const {
    const Products& places = layer_.places;
    std::vector<uint32_t> taps(sum.kernels.size());
    TileCall call;
    call.in_block = chunk_.slots * kBlock;
    call.blocks = places.in.blocks();
    call.depth = places.in.channels - (call.blocks - 1) * kBlock;
    call.taps = sum.sources.size();
    call.offsets = offsets_.data();
    call.places = taps.data();
    call.tap_size = places.tap_size;
    call.column_size = places.column_size;
    call.bias = zeros_.data();
    call.out_block = chunk_.slots * kBlock;
    call.out_step = kBlock;
    size_t column = 0;
    for (const Tile* tile : tiles_) {
      call.weights = places.packed.data() + column * places.column_size * sizeof(float);
      for (size_t place = 0; place < chunk_.places; ++place) {
        for (size_t k = 0; k < taps.size(); ++k) {
          taps[k] = static_cast<uint32_t>(sum.kernels[k] * chunk_.places + place);
        }
        float* const out = scratch + chunk_.products + place * chunk_.product_place;
        for (size_t done = 0; done < chunk_.slots; done += tile->rows) {
          const size_t slot = std::min(done, chunk_.slots - tile->rows);
          call.in = scratch + place * chunk_.window_place + slot * kBlock;
          call.out = out + column * call.out_block + slot * kBlock;
          tile->run_sums(call);
        }
      }
      column += tile->columns;
    }
  }

  void transform_products(const Memory& memory, size_t image, size_t first, const Phase& phase,
                          const float* scratch) const {
    const size_t stride = direct_.out_stride;
    ProductCall call;
    call.size = layer_.window();
    call.in_step = chunk_.product_place;
    call.row = out_.row * stride;
    call.column = out_.column * stride;
    call.slope = direct_.activation.slope;
    for (size_t block = 0; block < direct_.out.blocks(); ++block) {
      call.bias = direct_.biases.data() + (phase.bias * direct_.out.blocks() + block) * kBlock;
      for_slots(image, first, [&](size_t slot, size_t y, size_t x, size_t n) {
        call.in = scratch + chunk_.products + (block * chunk_.slots + slot) * kBlock;
        call.out = memory.at(out_, block, phase.y + y * stride, phase.x + x * stride, n);
        call.height = std::min(kSide, direct_.rows - y);
        call.width = std::min(kSide, direct_.columns - x);
        out_kernels_.transform_products(call);
      });
    }
  }

  const Kernels& in_kernels_;
  const Kernels& out_kernels_;
  const Winograd& layer_;
  const Products& direct_;
  Place in_, out_;
  size_t scratch_;
  ChunkLayout chunk_;
  std::vector<const Tile*> tiles_;
  std::vector<ptrdiff_t> offsets_;  // of the sources of a sum
  Floats zeros_;
};

}  // namespace

Winograd::Winograd(std::unique_ptr<Products> convolution)
    : direct(std::move(convolution)), taps(span(*direct)) {}

Layout Winograd::layout(size_t images, size_t element) const {
  // Few tiles an image: then the transformed kernels are worth reading for several.
  if (is_transformed() && tile_count(*direct) < kSlots / 2) return Layout::kGrouped;
  return direct->layout(images, element);
}

size_t Winograd::scratch(const Places& where) const {
  return is_transformed() ? ChunkLayout(*this, where.in.front()).size : 0;
}

void Winograd::pack(const Kernels& kernels, const Kernels& floats) {
  if (kernels.element != sizeof(float) && taps != 3) {
    direct->pack(kernels, floats);
    return;
  }
  size_t count = 0;
  for (const Phase& phase : direct->phases) count += split(phase, direct->in_stride).size();
  places.in = direct->in;
  places.out = direct->out;
  places.allocate(count * window() * window(), 0);
  uint32_t kernel = 0;
  for (const Phase& phase : direct->phases) {
    Sum sum;
    for (const Part& part : split(phase, direct->in_stride)) {
      const int top = least(part, &Tap::dy), left = least(part, &Tap::dx);
      sum.sources.push_back(sources.size());
      sources.push_back({part.phase_y, part.phase_x, top, left});
      sum.kernels.push_back(kernel);
      transform_kernels(kernels, *direct, part, window(), kernel * window() * window(), &places);
      ++kernel;
    }
    sums.push_back(std::move(sum));
  }
  places.pack(floats, floats);
  direct->weights = {};
}

std::unique_ptr<Step> Winograd::place(const Places& where) const {
  if (!is_transformed()) return direct->place(where);
  return std::make_unique<PlacedWinograd>(where, *this);
}

bool suits_winograd(const Products& convolution) {
  const size_t taps = span(convolution);
  if ((taps != 2 && taps != 3) || convolution.in.channels < kBlock) return false;
  size_t kernels = 0, products = 0;
  for (const Phase& phase : convolution.phases) {
    kernels += split(phase, convolution.in_stride).size();
    products += phase.taps.size() * convolution.rows * convolution.columns;
  }
  // Each for every pair of channels.
  const size_t places = kernels * (3 + taps) * (3 + taps);
  const size_t bytes = places * sizeof(float);
  const size_t pairs = convolution.in.blocks() * convolution.out.blocks() * kBlock * kBlock;
  return 4 * places * tile_count(convolution) <= 3 * products &&
         (bytes * pairs <= kCachedKernels || bytes * kProductsPerByte <= products);
}

}  // namespace zoo::native
