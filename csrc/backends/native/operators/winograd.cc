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
  ptrdiff_t pixel;

  Reach(int by, size_t stride) {
    const auto step = static_cast<ptrdiff_t>(stride);
    const ptrdiff_t rest = (by % step + step) % step;
    phase = static_cast<size_t>(rest);
    pixel = (by - rest) / step;
  }
};

// Taps that connect one phase of the input to one phase of the output.
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

// Returns the kernel size along one axis that holds the taps of every part of a convolution.
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

// Writes the transformed kernels of a part to `places`, beginning with tap `first`.
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

}  // namespace

Winograd::Winograd(std::unique_ptr<Products> convolution)
    : direct(std::move(convolution)), taps(span(*direct)) {}

Layout Winograd::layout(size_t images, size_t element) const {
  // With few tiles per image, several images should share each read of the transformed kernels.
  if (is_transformed() && tile_count(*direct) < kWinogradSlots / 2) return Layout::kGrouped;
  return direct->layout(images, element);
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

bool suits_winograd(const Products& convolution) {
  const size_t taps = span(convolution);
  if ((taps != 2 && taps != 3) || convolution.in.channels < kBlock) return false;
  size_t kernels = 0, products = 0;
  for (const Phase& phase : convolution.phases) {
    kernels += split(phase, convolution.in_stride).size();
    products += phase.taps.size() * convolution.rows * convolution.columns;
  }
  // Each position holds one weight per pair of input and output channels.
  const size_t places = kernels * (3 + taps) * (3 + taps);
  const size_t bytes = places * sizeof(float);
  const size_t pairs = convolution.in.blocks() * convolution.out.blocks() * kBlock * kBlock;
  return 4 * places * tile_count(convolution) <= 3 * products &&
         (bytes * pairs <= kCachedKernels || bytes * kProductsPerByte <= products);
}

}  // namespace zoo::native
