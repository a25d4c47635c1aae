// Execution of minimal filtering in chunks of tiles, whose windows are transformed together.
#include <algorithm>

#include "backends/native/operators/winograd.h"

namespace zoo::native {
namespace {

// Layout of the slots of a chunk of tiles in the scratch memory.
struct ChunkLayout {
  size_t places;
  size_t images;  // images per tile
  size_t tiles;   // tiles per chunk
  size_t slots;
  size_t window_place;   // stride of the window positions, in floats
  size_t window_source;  // stride of the window sources, in floats
  size_t product_place;
  size_t products;  // offset of the products
  size_t size;

  ChunkLayout(const Winograd& layer, const Place& in) {
    const Products& direct = *layer.direct;
    places = layer.window() * layer.window();
    images = in.grouped ? in.images : 1;
    tiles = std::min(tile_count(direct), std::max<size_t>(1, kWinogradSlots / images));
    slots = tiles * images;
    // One block of padding, so that the positions do not all map to the same cache sets.
    window_place = (direct.in.blocks() * slots + 1) * kBlock;
    window_source = places * window_place;
    product_place = (direct.out.blocks() * slots + 1) * kBlock;
    size_t most = 0;
    for (const Winograd::Sum& sum : layer.sums) most = std::max(most, sum.count);
    products = most * window_source;
    size = products + places * product_place;
  }
};

class PlacedWinograd : public Step {
 public:
  PlacedWinograd(const Places& where, const Winograd& layer)
      : in_kernels_(where.kernels.of(where.in.front().storage)),
        out_kernels_(where.kernels.of(where.out.storage)),
        layer_(layer),
        direct_(*layer.direct),
        in_(where.in.front()),
        out_(where.out),
        scratch_(where.scratch),
        chunk_(layer, in_),
        chunks_((tile_count(direct_) + chunk_.tiles - 1) / chunk_.tiles),
        whole_(choose_columns(where.kernels.wide, {0, direct_.out.blocks()})),
        zeros_(direct_.out.blocks() * kBlock, 0.0f) {
    for (size_t i = 0; i < layer.sources.size(); ++i) {
      offsets_.push_back(static_cast<ptrdiff_t>(i * chunk_.window_source));
      kernels_.push_back(static_cast<uint32_t>(i * chunk_.places));
    }
    parts_ = where.parts(units(), layer.operations());
    const size_t blocks = direct_.out.blocks();
    if (units() != 1 || where.parts(blocks, layer.operations()) == 1) return;
    // A single unit is split by columns. Each part transforms all windows.
    parts_ = std::min(where.sharing.threads, blocks);
    for (size_t part = 0; part < parts_; ++part) {
      columns_.push_back(choose_columns(where.kernels.wide, part_of(blocks, parts_, part)));
    }
  }

  void run(const Run& run, size_t image, size_t count) const override {
    for (size_t n = 0; n < (in_.grouped ? 1 : count); ++n) {
      for (size_t unit = 0; unit < units(); ++unit) run_unit(run, image + n, unit);
    }
  }

  size_t parts() const override { return parts_; }

  void run_part(const Run& run, size_t image, size_t part) const override {
    if (!columns_.empty()) {
      run_sum(run, image, 0, 0, columns_[part]);
      return;
    }
    const Range range = part_of(units(), parts_, part);
    for (size_t unit = range.first; unit < range.last; ++unit) run_unit(run, image, unit);
  }

  std::string kernel() const override {
    return "F(4×4, " + std::to_string(layer_.taps) + "×" + std::to_string(layer_.taps) + ") " +
           (in_.grouped ? "images " : "pixels ") + describe_tiles(whole_.tiles);
  }

 private:
  // Column blocks of the output, and the tiles that compute them.
  struct Columns {
    Range blocks;
    std::vector<const Tile*> tiles;
  };

  Columns choose_columns(const Kernels& kernels, const Range& blocks) const {
    return {blocks, choose_tiles(kernels, 1, chunk_.slots, blocks.last - blocks.first)};
  }

  // The last chunk is moved back if it would extend past the end. It then shares tiles with the one
  // before.
  bool last_overlaps() const { return chunks_ > 1 && tile_count(direct_) % chunk_.tiles != 0; }

  // Number of chunks that share no outputs, for each phase of the output.
  size_t units() const { return (chunks_ - (last_overlaps() ? 1 : 0)) * layer_.sums.size(); }

  void run_unit(const Run& run, size_t image, size_t unit) const {
    const size_t chunk = unit / layer_.sums.size();
    const size_t sum = unit % layer_.sums.size();
    run_sum(run, image, chunk, sum, whole_);
    if (last_overlaps() && chunk + 2 == chunks_) run_sum(run, image, chunk + 1, sum, whole_);
  }

  void run_sum(const Run& run, size_t image, size_t chunk, size_t phase,
               const Columns& columns) const {
    float* const scratch = run.memory.scratch + scratch_;
    const size_t first = std::min(chunk * chunk_.tiles, tile_count(direct_) - chunk_.tiles);
    const Winograd::Sum& sum = layer_.sums[phase];
    for (size_t k = 0; k < sum.count; ++k) {
      transform_windows(run.memory, image, first, layer_.sources[sum.begin + k],
                        scratch + k * chunk_.window_source);
    }
    multiply(sum, columns, scratch);
    transform_products(run.memory, image, first, direct_.phases[phase], columns.blocks, scratch);
  }

  // Calls `call` for each slot of a chunk with the slot, the row and column of its tile, and the
  // image.
  template <typename Call>
  void for_slots(size_t image, size_t first, const Call& call) const {
    const size_t across = winograd_tiles_along(direct_.columns);
    size_t slot = 0;
    for (size_t tile = first; tile < first + chunk_.tiles; ++tile) {
      for (size_t n = 0; n < chunk_.images; ++n) {
        call(slot++, tile / across * kWinogradSide, tile % across * kWinogradSide,
             in_.grouped ? n : image);
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

  void multiply(const Winograd::Sum& sum, const Columns& columns, float* scratch) const {
    const Products& places = layer_.places;
    TileCall call = places.make_call();
    call.in_block = chunk_.slots * kBlock;
    call.taps = sum.count;
    call.offsets = offsets_.data();
    call.places = kernels_.data() + sum.begin;
    call.bias = zeros_.data();
    call.out_block = chunk_.slots * kBlock;
    call.out_step = kBlock;
    size_t column = columns.blocks.first;
    for (const Tile* tile : columns.tiles) {
      for (size_t place = 0; place < chunk_.places; ++place) {
        call.weights =
            places.packed + (column * places.column_size + place * places.tap_size) * sizeof(float);
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
                          const Range& blocks, const float* scratch) const {
    const size_t stride = direct_.out_stride;
    ProductCall call;
    call.size = layer_.window();
    call.in_step = chunk_.product_place;
    call.row = out_.row * stride;
    call.column = out_.column * stride;
    call.slope = direct_.activation.slope;
    for (size_t block = blocks.first; block < blocks.last; ++block) {
      call.bias = direct_.biases.data() + (phase.bias * direct_.out.blocks() + block) * kBlock;
      for_slots(image, first, [&](size_t slot, size_t y, size_t x, size_t n) {
        call.in = scratch + chunk_.products + (block * chunk_.slots + slot) * kBlock;
        call.out = memory.at(out_, block, phase.y + y * stride, phase.x + x * stride, n);
        call.height = std::min(kWinogradSide, direct_.rows - y);
        call.width = std::min(kWinogradSide, direct_.columns - x);
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
  size_t chunks_;
  Columns whole_;
  std::vector<Columns> columns_;  // of the parts, if the step is split by columns
  size_t parts_ = 1;
  std::vector<ptrdiff_t> offsets_;  // of the windows of a sum's sources
  std::vector<uint32_t> kernels_;   // first tap of the kernel of each source
  Floats zeros_;
};

}  // namespace

size_t Winograd::scratch(const Places& where) const {
  return is_transformed() ? ChunkLayout(*this, where.in.front()).size : 0;
}

std::unique_ptr<Step> Winograd::place(const Places& where) const {
  if (!is_transformed()) return direct->place(where);
  return std::make_unique<PlacedWinograd>(where, *this);
}

}  // namespace zoo::native
