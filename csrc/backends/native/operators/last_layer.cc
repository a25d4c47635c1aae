#include "backends/native/operators/last_layer.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace zoo::native {
namespace {

constexpr size_t kMostOutputs = 3;  // per call of the kernel

// Input rows transposed together; a multiple of the output rows computed together.
constexpr size_t kBand = 8;

// Time per operation relative to that of other layers, because most of it is spent on transposing.
constexpr double kCost = 4.0;

// Layout of the transposed input rows and the output sums in the scratch memory. The images of a
// group are innermost in a row's slots.
struct RowLayout {
  size_t images;        // images per pixel
  size_t slots;         // slots of an input row
  size_t margin;        // slots of zeros on either side of an input row
  size_t planes;        // transposed rows of a channel block
  size_t channel;       // stride of the transposed rows, in floats
  size_t row;           // stride of the input rows, in floats
  size_t above, below;  // input rows that an output row reads above and below its own
  size_t phases;        // phases of an output row; pixels `phases` apart use the same taps
  size_t width;         // of the output
  size_t phase;         // sums per phase of a row
  size_t rows;          // output rows computed at once
  size_t sums;          // offset of the sums [output][phase][row]
  size_t levels;
  size_t size;

  RowLayout(const LastLayer& layer, const Place& in) {
    const Products& direct = *layer.direct;
    int top = 0, bottom = 0, beside = 0;
    for (const Phase& part : direct.phases) {
      for (const Tap& tap : part.taps) {
        top = std::max(top, -tap.dy);
        bottom = std::max(bottom, tap.dy);
        beside = std::max({beside, tap.dx, -tap.dx});
      }
    }
    above = static_cast<size_t>(top);
    below = static_cast<size_t>(bottom);
    images = in.grouped ? in.images : 1;
    slots = direct.in.width * images;
    phases = direct.out_stride;
    width = layer.out.width;
    phase = rounded_up(columns(0) * images, kBlock);
    // As many sums at once as fit in registers.
    rows = std::max<size_t>(1, (layer.out.channels == 1 ? 8 : 4) * kBlock / phase);
    // The margin covers the reach of every tap; the channel stride also covers the vectors that
    // extend past the last sums.
    margin = rounded_up(static_cast<size_t>(beside) * images, kBlock);
    channel = margin + std::max(rounded_up(slots, kBlock), phase) + margin + kBlock;
    planes = kBlock / layer.together;
    row = direct.in.blocks() * planes * channel;
    sums = (above + kBand + below) * row;
    levels = sums + layer.out.channels * phases * rows * phase;
    size = levels + phase;
  }

  size_t columns(size_t which) const { return (width - which + phases - 1) / phases; }
};

// Returns the weights of four consecutive channels as signed bytes in the place of a float.
float four_bytes(const float* weights) {
  int8_t bytes[4];
  for (size_t k = 0; k < 4; ++k) bytes[k] = static_cast<int8_t>(weights[k * kBlock]);
  float packed;
  std::memcpy(&packed, bytes, sizeof packed);
  return packed;
}

// Returns the weights of two consecutive channels as bfloat16 in the place of a float; with `rest`
// what rounding them has lost.
float two_halves(const Kernels& kernels, const float* weights, bool rest) {
  float pair[kBlock] = {weights[0], weights[kBlock]}, packed[kBlock];
  kernels.store(pair, packed);
  if (rest) {
    float rounded[kBlock];
    kernels.load(packed, rounded);
    for (size_t k = 0; k < 2; ++k) pair[k] -= rounded[k];
    kernels.store(pair, packed);
  }
  return packed[0];
}

class PlacedLastLayer : public Step {
 public:
  PlacedLastLayer(const Places& places, const LastLayer& layer)
      : in_kernels_(places.kernels.of(places.in.front().storage)),
        kernels_(places.kernels.wide),
        layer_(layer),
        direct_(*layer.direct),
        in_(places.in.front()),
        scratch_(places.scratch),
        layout_(layer, in_),
        finisher_(kernels_, layer.finish, layer.out, layout_.phases, layout_.images) {
    if (direct_.code) std::memset(&zero_, direct_.code->zero, sizeof zero_);
    const size_t stride = direct_.out_stride;
    bands_ = ((layer.out.height + stride - 1) / stride + kBand - 1) / kBand;
    parts_ = places.parts(bands_, layer.operations() * kCost);
  }

  std::string kernel() const override { return direct_.code ? "u8" : ""; }

  void run(const Run& run, size_t image, size_t count) const override {
    // In group mode all images are processed together.
    const size_t together = in_.grouped ? count : 1;
    for (size_t n = image; n < image + count; n += together) {
      run_bands(run, n, together, {0, bands_});
    }
  }

  size_t parts() const override { return parts_; }

  void run_part(const Run& run, size_t image, size_t part) const override {
    run_bands(run, image, 1, part_of(bands_, parts_, part));
  }

 private:
  void run_bands(const Run& run, size_t image, size_t count, const Range& bands) const {
    const size_t stride = direct_.out_stride;
    for (size_t base = bands.first * kBand;
         base < bands.last * kBand && base * stride < layer_.out.height; base += layout_.rows) {
      if (base % kBand == 0) {
        turn_band(run.memory, in_.grouped ? 0 : image, base, base == bands.first * kBand);
      }
      for (size_t y = 0; y < stride; ++y) make_rows(run, image, count, base, y);
    }
  }

  float* band(const Memory& memory) const { return memory.scratch + scratch_; }

  float* sums(const Memory& memory, size_t output, size_t phase, size_t row) const {
    return memory.scratch + scratch_ + layout_.sums +
           ((output * layout_.phases + phase) * layout_.rows + row) * layout_.phase;
  }

  uint8_t* levels(const Memory& memory) const {
    return reinterpret_cast<uint8_t*>(memory.scratch + scratch_ + layout_.levels);
  }

  // Transposes the band of input rows that begins at row base - above; rows outside the image are
  // zeros. Rows shared with the previous band are moved, unless it is the first one.
  void turn_band(const Memory& memory, size_t image, size_t base, bool is_first) const {
    float* const rows = band(memory);
    const size_t reach = layout_.above + layout_.below;
    size_t first = 0;
    if (!is_first) {
      std::copy_n(rows + kBand * layout_.row, reach * layout_.row, rows);
      first = reach;
    }
    for (size_t i = first; i < reach + kBand; ++i) {
      float* const row = rows + i * layout_.row;
      const size_t y = base + i - layout_.above;
      if (base + i >= layout_.above && y < direct_.in.height) {
        turn_row(memory, image, y, row + layout_.margin);
      } else {
        std::fill_n(row, layout_.row, zero_);
      }
    }
  }

  void turn_row(const Memory& memory, size_t image, size_t y, float* row) const {
    const size_t padded = rounded_up(layout_.slots, kBlock);
    const size_t planes = direct_.in.blocks() * layout_.planes;
    for (size_t block = 0; block < direct_.in.blocks(); ++block) {
      in_kernels_.transpose(memory.at(in_, block, y, 0, image), padded,
                            row + block * layout_.planes * layout_.channel, layout_.channel);
    }
    // The slots past the end of the row must be zeros. The margins are, unless zero has a code.
    if (direct_.code) std::fill_n(row - layout_.margin, layout_.margin, zero_);
    for (size_t i = 0; i < planes; ++i) {
      const size_t margins = i + 1 < planes ? 2 * layout_.margin : layout_.margin;
      float* const plane = row + i * layout_.channel;
      float* const end = plane + layout_.channel - 2 * layout_.margin + margins;
      std::fill(plane + layout_.slots, direct_.code ? end : plane + padded, zero_);
    }
  }

  // Computes the output rows of vertical phase `y` for the input rows from `base` on.
  void make_rows(const Run& run, size_t image, size_t count, size_t base, size_t y) const {
    const size_t stride = direct_.out_stride;
    for (size_t x = 0; x < stride; ++x) add_up(run.memory, y * stride + x, base % kBand, x);
    for (size_t row = 0; row < layout_.rows; ++row) {
      const size_t out_y = (base + row) * stride + y;
      if (out_y >= layer_.out.height) break;
      for (size_t c = 0; c < layer_.out.channels; ++c) {
        for (size_t x = 0; x < stride; ++x) {
          finisher_.run(run, image, count, c, out_y, x, sums(run.memory, c, x, row),
                        levels(run.memory));
        }
      }
    }
  }

  void add_up(const Memory& memory, size_t phase, size_t base, size_t x) const {
    const std::vector<Tap>& taps = direct_.phases[phase].taps;
    std::array<const float*, kMostTaps> in;  // as many as there are taps
    const size_t count = taps.size() * layer_.terms;
    for (size_t i = 0; i < count; ++i) {
      const Tap& tap = taps[i % taps.size()];
      const auto y = static_cast<ptrdiff_t>(base + layout_.above) + tap.dy;
      in[i] = band(memory) + static_cast<size_t>(y) * layout_.row + layout_.margin +
              tap.dx * static_cast<ptrdiff_t>(layout_.images);
    }
    CorrelateCall call;
    call.taps = count;
    call.in = in.data();
    call.channels = (direct_.in.channels + layer_.together - 1) / layer_.together;
    call.in_step = layout_.channel;
    call.in_row = layout_.row;
    call.weights_step = layer_.out.channels;
    call.rows = layout_.rows;
    call.count = layout_.phase;
    call.out_step = layout_.phases * layout_.rows * layout_.phase;
    for (size_t output = 0; output < layer_.out.channels; output += kMostOutputs) {
      call.weights = layer_.weights.data() + layer_.phases[phase] + output;
      call.outputs = std::min(kMostOutputs, layer_.out.channels - output);
      call.bias = direct_.biases.data() + output;
      if (direct_.code) {
        call.scale = direct_.scales.data() + output;
        call.start = layer_.starts.data() + phase * layer_.out.channels + output;
      }
      call.out = sums(memory, output, x, 0);
      in_kernels_.correlate(call);
    }
  }

  const Kernels& in_kernels_;
  const Kernels& kernels_;
  const LastLayer& layer_;
  const Products& direct_;
  Place in_;
  size_t scratch_;
  RowLayout layout_;
  RowFinisher finisher_;
  size_t bands_;
  size_t parts_;
  float zero_ = 0.0f;  // or two, or four codes of 0
};

}  // namespace

size_t LastLayer::scratch(const Places& places) const {
  return RowLayout(*this, places.in.front()).size;
}

std::unique_ptr<Step> LastLayer::place(const Places& places) const {
  return std::make_unique<PlacedLastLayer>(places, *this);
}

void LastLayer::pack(const Kernels& kernels, const Kernels&, unsigned char*) {
  together = sizeof(float) / kernels.element;
  terms = together == 2 && direct->phases.front().taps.size() == 1 ? 2 : 1;
  if (direct->code) direct->quantize_weights();
  for (const Phase& phase : direct->phases) {
    phases.push_back(weights.size());
    for (size_t k = 0; k < direct->in.channels; k += together) {
      for (size_t i = 0; i < phase.taps.size() * terms; ++i) {
        const Tap& tap = phase.taps[i % phase.taps.size()];
        for (size_t c = 0; c < out.channels; ++c) {
          const float* const from = direct->weights.data() + c / kBlock * direct->column_size +
                                    tap.weights * direct->tap_size + k * kBlock + c % kBlock;
          weights.push_back(together == 4   ? four_bytes(from)
                            : together == 2 ? two_halves(kernels, from, i >= phase.taps.size())
                                            : *from);
        }
      }
    }
    for (size_t c = 0; direct->code && c < out.channels; ++c) {
      int32_t sum = 0;
      for (const Tap& tap : phase.taps)
        sum += direct->tap_sums[tap.weights * direct->out.padded() + c];
      starts.push_back(-direct->code->zero * sum);
    }
  }
  direct->weights = {};
}

std::unique_ptr<LastLayer> make_last_layer(const float* weights, const float* bias, const Shape& in,
                                           size_t channels, const Window& window, bool transposed,
                                           const Finish& finish) {
  auto layer = std::make_unique<LastLayer>();
  layer->direct = transposed ? make_transposed(weights, bias, in, channels, window, {})
                             : make_convolution(weights, bias, in, channels, window, {});
  layer->out = layer->direct->out;
  layer->finish = finish;
  return layer;
}

}  // namespace zoo::native
