#include "backends/native/operators/winograd.h"

#include <algorithm>

namespace zoo::native {
namespace {

// Size limit in bytes for transformed kernels that stay in the L2 cache. Beyond it, reading a byte
// takes as long as kProductsPerByte products.
constexpr size_t kCachedKernels = 256 * 1024;
constexpr size_t kProductsPerByte = 1;

// Input position of a tap along one axis: the phase of the input, and the pixel within that phase.
struct Reach {
  size_t phase;
  int pixel;

  Reach(int by, size_t stride) {
    const auto step = static_cast<int>(stride);
    const int rest = (by % step + step) % step;
    phase = static_cast<size_t>(rest);
    pixel = (by - rest) / step;
  }
};

// Returns the sources of one phase of the output: its taps, by the phase of the input that they
// read.
std::vector<WindowSource> split(const Phase& phase, size_t stride) {
  std::vector<WindowSource> sources;
  for (const Tap& tap : phase.taps) {
    const Reach y(tap.dy, stride), x(tap.dx, stride);
    auto source = std::find_if(sources.begin(), sources.end(), [&](const WindowSource& one) {
      return one.phase_y == y.phase && one.phase_x == x.phase;
    });
    if (source == sources.end()) {
      source = sources.insert(source, {y.phase, x.phase, y.pixel, x.pixel, {}});
    }
    source->begin_y = std::min(source->begin_y, y.pixel);
    source->begin_x = std::min(source->begin_x, x.pixel);
    source->taps.push_back({y.pixel, x.pixel, tap.weights});
  }
  for (WindowSource& source : sources) {
    for (Tap& tap : source.taps) {
      tap.dy -= source.begin_y;
      tap.dx -= source.begin_x;
    }
  }
  return sources;
}

// Writes the transformed kernel of a source for one column block to `to`.
void transform_kernels(const Kernels& kernels, const Products& direct, const WindowSource& source,
                       size_t size, size_t column, float* to) {
  KernelCall call{};
  call.size = size;
  call.out_step = direct.tap_size;
  const float* const from = direct.weights.data() + column * direct.column_size;
  for (size_t at = 0; at < direct.tap_size; at += kBlock) {
    for (const Tap& tap : source.taps) {
      const auto y = static_cast<size_t>(tap.dy), x = static_cast<size_t>(tap.dx);
      call.taps[y * (size - 3) + x] = from + tap.weights * direct.tap_size + at;
    }
    call.out = to + at;
    kernels.transform_kernel(call);
  }
}

}  // namespace

Winograd::Winograd(std::unique_ptr<Products> convolution) : direct(std::move(convolution)) {
  for (const Phase& phase : direct->phases) {
    const size_t begin = sources.size();
    for (WindowSource& source : split(phase, direct->in_stride)) {
      for (const Tap& tap : source.taps) {
        taps = std::max(taps, static_cast<size_t>(std::max(tap.dy, tap.dx)) + 1);
      }
      sources.push_back(std::move(source));
    }
    sums.push_back({begin, sources.size() - begin});
  }
  places.in = direct->in;
  places.out = direct->out;
  places.set_strides(sources.size() * window() * window());
}

Layout Winograd::layout(size_t images, size_t element) const {
  // With few tiles per image, several images should share each read of the transformed kernels.
  if (is_transformed() && tile_count(*direct) < kWinogradSlots / 2) return Layout::kGrouped;
  return direct->layout(images, element);
}

bool Winograd::transforms(const Kernels& kernels) const {
  return !kernels.has_matrix_units && (kernels.element == sizeof(float) || taps == 3);
}

size_t Winograd::packed_size(const Kernels& kernels, const Kernels& floats) const {
  return transforms(kernels) ? places.packed_size(floats, floats)
                             : direct->packed_size(kernels, floats);
}

void Winograd::pack(const Kernels& kernels, const Kernels& floats, unsigned char* memory) {
  if (!transforms(kernels)) {
    direct->pack(kernels, floats, memory);
    return;
  }
  const size_t source_size = window() * window() * places.tap_size;
  // One column block at a time stays in the cache between the transform and the packing.
  Floats block(places.column_size, 0.0f);
  for (size_t column = 0; column < places.out.blocks(); ++column) {
    for (size_t i = 0; i < sources.size(); ++i) {
      transform_kernels(kernels, *direct, sources[i], window(), column,
                        block.data() + i * source_size);
    }
    places.pack_column(floats, block.data(), memory + column * places.column_size * floats.element);
  }
  places.packed = memory;
  direct->weights = {};
}

bool Winograd::pays() const {
  if ((taps != 2 && taps != 3) || direct->in.channels < kBlock) return false;
  size_t products = 0;
  for (const Phase& phase : direct->phases) {
    products += phase.taps.size() * direct->rows * direct->columns;
  }
  // Each position holds one weight per pair of input and output channels.
  const size_t positions = sources.size() * window() * window();
  const size_t bytes = positions * sizeof(float);
  const size_t pairs = direct->in.padded() * direct->out.padded();
  return 4 * positions * tile_count(*direct) <= 3 * products &&
         (bytes * pairs <= kCachedKernels || bytes * kProductsPerByte <= products);
}

}  // namespace zoo::native
