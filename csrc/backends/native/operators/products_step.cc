// Execution of Products: choice of the tiles, and the lines of outputs that they run along.
#include <algorithm>
#include <map>

#include "backends/native/operators/products.h"

namespace zoo::native {
namespace {

// Estimates the efficiency of a tile: products per loaded value, reduced for idle multipliers and
// repeated outputs. 0 if the tile does not fit.
double worth(const Tile& tile, size_t step, size_t length) {
  if (tile.step != step || tile.rows > length) return 0.0;
  const double rows = static_cast<double>(tile.rows);
  const double vectors = static_cast<double>(tile.columns);
  // Fewer independent sums than latency times throughput leave the multipliers idle.
  const double busy = std::min(1.0, rows * vectors / 8.0);
  // The last tile of a line overlaps the one before it and computes some outputs twice.
  const size_t tiles = (length + tile.rows - 1) / tile.rows;
  const double used = static_cast<double>(length) / static_cast<double>(tiles * tile.rows);
  return used * busy * rows * vectors / (rows + vectors);
}

}  // namespace

std::vector<const Tile*> choose_tiles(const Kernels& kernels, size_t step, size_t length,
                                      size_t columns) {
  std::vector<double> costs(columns + 1, 0.0);
  std::vector<const Tile*> last(columns + 1, nullptr);
  for (size_t covered = 1; covered <= columns; ++covered) {
    for (size_t i = 0; i < kernels.tile_count; ++i) {
      const Tile& tile = kernels.tiles[i];
      const double found = worth(tile, step, length);
      if (found == 0.0 || tile.columns > covered) continue;
      const double cost = costs[covered - tile.columns] + static_cast<double>(tile.columns) / found;
      if (last[covered] && cost >= costs[covered]) continue;
      costs[covered] = cost;
      last[covered] = &tile;
    }
  }
  std::vector<const Tile*> tiles;
  for (size_t left = columns; left != 0; left -= tiles.back()->columns) {
    tiles.push_back(last[left]);
  }
  return tiles;
}

std::string describe_tiles(const std::vector<const Tile*>& tiles) {
  std::string text;
  for (size_t i = 0; i < tiles.size();) {
    size_t same = 0;
    while (i + same < tiles.size() && tiles[i + same] == tiles[i]) ++same;
    text += (i == 0 ? "" : " ") + (same == 1 ? "" : std::to_string(same) + "·") +
            std::to_string(tiles[i]->rows) + "×" + std::to_string(tiles[i]->columns * kBlock);
    i += same;
  }
  return text;
}

namespace {

class PlacedProducts : public Step {
 public:
  PlacedProducts(const Places& places, const Products& layer);

  void run(const Run& run, size_t image, size_t count) const override;
  size_t parts() const override { return parts_; }
  void run_part(const Run& run, size_t image, size_t part) const override {
    run_lines(run, image, part_of(lines_.size(), parts_, part));
  }
  std::string kernel() const override {
    return (layer_.code ? "u8 " : "") + std::string(in_.grouped ? "images " : "pixels ") +
           describe_tiles(tiles_);
  }

 private:
  // Line of outputs that tiles run along, with the taps that apply to it: a row in image mode, the
  // images of a pixel in group mode.
  struct Line {
    size_t begin;  // index of the first tap in offsets_
    size_t count;
    size_t in;  // offset of the first slot, like `out`
    size_t out;
    size_t bias;
    size_t start;  // index in starts_
  };

  size_t add_starts(const Line& line);
  void add_line(const Phase& phase, size_t y, size_t x);
  void run_lines(const Run& run, size_t image, const Range& lines) const;
  void run_tile(const Tile& tile, size_t column, const Memory& memory, size_t in, size_t out,
                const Range& lines) const;

  const Products& layer_;
  Place in_, out_;
  size_t length_;   // outputs per line
  size_t in_step_;  // stride between the inputs of consecutive outputs
  size_t out_step_;
  size_t weight_size_;
  bool floats_;  // write floats instead of narrow elements
  size_t parts_ = 1;
  std::vector<Line> lines_;
  std::vector<ptrdiff_t> offsets_;
  std::vector<uint32_t> places_;
  // For bytes: what sums begin with, -zero times the sum of the weights, for each set of taps
  // [out channel, padded]. Taps outside the image are not in the set.
  std::vector<int32_t> starts_;
  std::map<std::vector<uint32_t>, size_t>
      starts_of_;  // index in starts_, by the places of the taps
  std::vector<const Tile*> tiles_;
};

PlacedProducts::PlacedProducts(const Places& places, const Products& layer)
    : layer_(layer), in_(places.in.front()), out_(places.out) {
  const Kernels& kernels = places.kernels.of(in_.storage);
  const Place &in = in_, &out = out_;
  weight_size_ = layer.weight_size(kernels);
  floats_ = out.element == sizeof(float);
  if (in.grouped) {
    length_ = in.images;
    in_step_ = in.image;
    out_step_ = out.image;
    for (const Phase& phase : layer.phases) {
      for (size_t y = 0; y < layer.rows; ++y) {
        for (size_t x = 0; x < layer.columns; ++x) add_line(phase, y, x);
      }
    }
  } else {
    length_ = layer.columns;
    // For a single output the stride does not matter; tiles of step 1 exist in all sizes.
    in_step_ = length_ == 1 ? kBlock : in.column * layer.in_stride;
    out_step_ = out.column * layer.out_stride;
    for (const Phase& phase : layer.phases) {
      for (size_t y = 0; y < layer.rows; ++y) add_line(phase, y, 0);
    }
  }
  tiles_ = choose_tiles(kernels, in_step_ / kBlock, length_, layer.out.blocks());
  parts_ = places.parts(lines_.size(), layer.operations());
}

void PlacedProducts::add_line(const Phase& phase, size_t y, size_t x) {
  const auto inside = [](size_t at, int by, size_t size) {
    const auto place = static_cast<ptrdiff_t>(at) + by;
    return place >= 0 && place < static_cast<ptrdiff_t>(size);
  };
  const size_t in_y = y * layer_.in_stride;
  const size_t in_x = x * layer_.in_stride;
  Line line{offsets_.size(),
            0,
            in_.at(in_y, in_x, 0),
            out_.at(phase.y + y * layer_.out_stride, phase.x + x * layer_.out_stride, 0),
            phase.bias * layer_.out.padded(),
            0};
  for (const Tap& tap : phase.taps) {
    if (!inside(in_y, tap.dy, layer_.in.height)) continue;
    if (in_.grouped && !inside(in_x, tap.dx, layer_.in.width)) continue;
    offsets_.push_back(tap.dy * static_cast<ptrdiff_t>(in_.row) +
                       tap.dx * static_cast<ptrdiff_t>(in_.column));
    places_.push_back(tap.weights);
  }
  line.count = offsets_.size() - line.begin;
  if (layer_.code) line.start = add_starts(line);
  lines_.push_back(line);
}

size_t PlacedProducts::add_starts(const Line& line) {
  const std::vector<uint32_t> taps(places_.begin() + static_cast<ptrdiff_t>(line.begin),
                                   places_.end());
  const auto [known, added] = starts_of_.emplace(taps, starts_.size());
  if (!added) return known->second;
  const size_t channels = layer_.out.padded();
  for (size_t c = 0; c < channels; ++c) {
    int32_t sum = 0;
    for (const uint32_t tap : taps) sum += layer_.tap_sums[tap * channels + c];
    starts_.push_back(-layer_.code->zero * sum);
  }
  return known->second;
}

void PlacedProducts::run(const Run& run, size_t image, size_t) const {
  run_lines(run, image, {0, lines_.size()});
}

void PlacedProducts::run_lines(const Run& run, size_t image, const Range& lines) const {
  const size_t in = in_.grouped ? 0 : image * in_.image;
  const size_t out = in_.grouped ? 0 : image * out_.image;
  size_t column = 0;
  for (const Tile* tile : tiles_) {
    run_tile(*tile, column, run.memory, in, out, lines);
    column += tile->columns;
  }
}

void PlacedProducts::run_tile(const Tile& tile, size_t column, const Memory& memory, size_t in,
                              size_t out, const Range& lines) const {
  TileCall call = layer_.make_call();
  call.in_block = in_.block;
  call.weights = layer_.packed + column * layer_.column_size * weight_size_;
  call.out_block = out_.block;
  call.out_step = out_step_;
  const auto multiply = layer_.halves ? tile.run_halves : floats_ ? tile.run_sums : tile.run;
  for (size_t i = lines.first; i < lines.last; ++i) {
    const Line& line = lines_[i];
    call.taps = line.count;
    call.offsets = offsets_.data() + line.begin;
    call.places = places_.data() + line.begin;
    call.bias = layer_.biases.data() + line.bias + column * kBlock;
    if (layer_.code) {
      call.scale = layer_.scales.data() + line.bias + column * kBlock;
      call.start = starts_.data() + line.start + column * kBlock;
    }
    for (size_t done = 0; done < length_; done += tile.rows) {
      // The last tile is moved back if it would extend past the end; it recomputes some outputs.
      const size_t first = std::min(done, length_ - tile.rows);
      call.in = memory.at(in_, in + line.in + first * in_step_);
      call.out = memory.at(out_, out + line.out + column * out_.block + first * out_step_);
      multiply(call);
    }
  }
}

}  // namespace

std::unique_ptr<Step> Products::place(const Places& places) const {
  return std::make_unique<PlacedProducts>(places, *this);
}

}  // namespace zoo::native
