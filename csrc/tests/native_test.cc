// The layers of the native backend against the sums that define them, in double precision, for
// shapes that fill no tile, in every instruction set that this CPU has.
#include <cmath>
#include <random>
#include <thread>

#include "backends/native/operators/dense_image.h"
#include "backends/native/operators/ends.h"
#include "backends/native/operators/last_layer.h"
#include "backends/native/operators/norms.h"
#include "backends/native/plan.h"
#include "check.h"
#include "emulated_matrix_unit.h"

namespace {

using namespace zoo::native;

// Threads that help with an image.
constexpr size_t kHelpers = 2;

std::mt19937 generator;

std::vector<float> normal(size_t count, double deviation) {
  std::normal_distribution<float> distribution(0.0f, static_cast<float>(deviation));
  std::vector<float> values(count);
  for (float& value : values) value = distribution(generator);
  return values;
}

struct Map {
  Shape shape;
  std::vector<double> values;  // [C, H, W]
};

double rectified(double value, float slope) { return value > 0 ? value : slope * value; }

// A layer with its weights, as a network has it and as what defines it.
struct Case {
  enum Kind { kDense, kConvolution, kTransposed, kNorm } kind;
  size_t outputs;
  size_t size;  // of a kernel, or side of the map that a dense layer makes
  size_t stride;
  size_t padding;
  float slope;
  std::vector<float> weights = {};
  std::vector<float> bias = {};
};

// Adds the products of every `from_step`th number and a weight to every `to_step`th number. Not
// instrumented: under a sanitizer, most of the time of this test would be spent here.
__attribute__((no_sanitize("address"), no_sanitize("thread"), no_sanitize("undefined"))) void
add_products(const double* from, size_t from_step, double weight, double* to, size_t to_step,
             size_t count) {
  for (size_t i = 0; i < count; ++i) to[i * to_step] += weight * from[i * from_step];
}

// Pixels s of the map with fewer of them that meet pixels s · stride + k - padding of the other one
// inside it.
struct Meeting {
  size_t first, last, other;

  Meeting(const Case& layer, size_t k, size_t fewer, size_t more)
      : first(k < layer.padding ? (layer.padding - k + layer.stride - 1) / layer.stride : 0),
        last(k > more + layer.padding
                 ? 0
                 : std::min(fewer, (more + layer.padding - k + layer.stride - 1) / layer.stride)),
        other(first * layer.stride + k - layer.padding) {}
};

Map convolve(const Case& layer, const Map& in) {
  const bool turned = layer.kind == Case::kTransposed;
  const Shape& s = in.shape;
  const auto side = [&](size_t length) {
    return turned ? (length - 1) * layer.stride + layer.size - 2 * layer.padding
                  : (length + 2 * layer.padding - layer.size) / layer.stride + 1;
  };
  Map out;
  out.shape = {layer.outputs, side(s.height), side(s.width)};
  const Shape& fewer = turned ? s : out.shape;
  const Shape& more = turned ? out.shape : s;
  for (size_t o = 0; o < layer.outputs; ++o) {
    std::vector<double> sums(out.shape.pixels(), layer.bias[o]);
    for (size_t k = 0; k < s.channels; ++k) {
      const double* const channel = in.values.data() + k * s.pixels();
      const size_t kernel = turned ? k * layer.outputs + o : o * s.channels + k;
      for (size_t place = 0; place < layer.size * layer.size; ++place) {
        const double weight = layer.weights[kernel * layer.size * layer.size + place];
        const Meeting down(layer, place / layer.size, fewer.height, more.height);
        const Meeting across(layer, place % layer.size, fewer.width, more.width);
        for (size_t y = down.first; y < down.last && across.first < across.last; ++y) {
          const size_t other_y = down.other + (y - down.first) * layer.stride;
          const size_t near = y * fewer.width + across.first;
          const size_t far = other_y * more.width + across.other;
          const size_t count = across.last - across.first;
          if (turned) {
            add_products(channel + near, 1, weight, sums.data() + far, layer.stride, count);
          } else {
            add_products(channel + far, layer.stride, weight, sums.data() + near, 1, count);
          }
        }
      }
    }
    for (const double sum : sums) out.values.push_back(rectified(sum, layer.slope));
  }
  return out;
}

Map apply(const Case& layer, const Map& in) {
  Map out;
  const auto& s = in.shape;
  if (layer.kind == Case::kNorm) {
    out = in;
    for (size_t p = 0; p < s.pixels(); ++p) {
      double sum = 0;
      for (size_t c = 0; c < s.channels; ++c) sum += std::pow(in.values[c * s.pixels() + p], 2);
      const double root = std::sqrt(sum / static_cast<double>(s.channels) + 1e-6);
      for (size_t c = 0; c < s.channels; ++c) out.values[c * s.pixels() + p] /= root;
    }
    return out;
  }
  if (layer.kind == Case::kDense) {
    out.shape = {layer.outputs, layer.size, layer.size};
    for (size_t o = 0; o < layer.outputs * layer.size * layer.size; ++o) {
      double sum = layer.bias[o];
      for (size_t k = 0; k < s.channels; ++k) {
        sum += in.values[k] * static_cast<double>(layer.weights[o * s.channels + k]);
      }
      out.values.push_back(rectified(sum, layer.slope));
    }
    return out;
  }
  return convolve(layer, in);
}

double squashed(double x, const Finish& finish) {
  double y = x;
  if (finish.squash == Squash::kSigmoid) {
    y = 1 / (1 + std::exp(-x * static_cast<double>(finish.scale)));
  } else if (finish.squash == Squash::kTanhUnit) {
    y = (std::tanh(x * static_cast<double>(finish.scale)) + 1) / 2;
  }
  return std::min(std::max(y, static_cast<double>(finish.low)), static_cast<double>(finish.high));
}

// Fills in the weights; the deviation keeps numbers near 1.
void draw(Case* layer, const Shape& in) {
  if (layer->kind == Case::kNorm) return;
  const size_t places = layer->size * layer->size;
  const bool dense = layer->kind == Case::kDense;
  const double terms = static_cast<double>(in.channels * (dense ? 1 : places));
  layer->weights = normal(layer->outputs * in.channels * places, 1 / std::sqrt(terms));
  layer->bias = normal(layer->outputs * (dense ? places : 1), 0.1);
}

std::unique_ptr<Operator> make_operator(const Case& layer, const Shape& in) {
  const Activation rectifier{layer.slope};
  const Window window{layer.size, layer.stride, layer.padding};
  const float* const w = layer.weights.data();
  const float* const b = layer.bias.data();
  switch (layer.kind) {
    case Case::kNorm:
      return std::make_unique<PixelNorm>(in.channels, 1e-6f);
    case Case::kDense:
      return make_dense(w, b, in, {layer.outputs, layer.size, layer.size}, rectifier);
    case Case::kConvolution:
      return make_convolution(w, b, in, layer.outputs, window, rectifier);
    default:
      return make_transposed(w, b, in, layer.outputs, window, rectifier);
  }
}

// Adds an operator after the value so far, and returns what it makes.
size_t add(Network* network, std::unique_ptr<Operator> op, size_t input, const Shape& out,
           Storage storage = Storage::kNarrow) {
  op->inputs = {input};
  op->output = network->add_value(out, storage);
  network->operators.push_back(std::move(op));
  return network->operators.back()->output;
}

void add_end(Network* network, std::unique_ptr<Operator> op, size_t input) {
  op->inputs = {input};
  network->operators.push_back(std::move(op));
}

// Runs a network in groups and image by image, and both against the definition; the last layer of
// the cases is the one that makes the image.
std::vector<uint8_t> test_network(const KernelSet& pair, size_t width, std::vector<Case> cases,
                                  Finish finish) {
  constexpr size_t kImages = 11;
  Network network;
  network.output("image");
  auto read = std::make_unique<Read>();
  read->shape = {width, 1, 1};
  read->parts.push_back({Part::kNumbers, network.input("mu"), width, width});
  read->output = network.add_value(read->shape);
  size_t value = read->output;
  network.operators.push_back(std::move(read));
  const std::vector<float> latents = normal(kImages * width, 1.0);
  std::vector<Map> maps;
  for (size_t n = 0; n < kImages; ++n) {
    const auto begin = latents.begin() + static_cast<ptrdiff_t>(n * width);
    maps.push_back({{width, 1, 1}, {begin, begin + static_cast<ptrdiff_t>(width)}});
  }
  for (size_t i = 0; i < cases.size(); ++i) {
    const Shape in = maps.front().shape;
    Case& layer = cases[i];
    draw(&layer, in);
    for (Map& map : maps) map = apply(layer, map);
    const Shape& made = maps.front().shape;
    if (i + 1 < cases.size()) {
      auto op = make_operator(layer, in);
      auto* const products = dynamic_cast<Products*>(op.get());
      if (pair.bytes && products && products->gains_from_bytes()) {
        products->code = ByteCode::of_range(-5.0f, 6.0f);
        value =
            add(&network, std::make_unique<Quantize>(*products->code), value, in, Storage::kBytes);
      }
      value = add(&network, std::move(op), value, made);
    } else if (layer.kind == Case::kDense) {
      const Shape flat{made.channels * made.pixels(), 1, 1};
      value = add(&network, make_dense(layer.weights.data(), layer.bias.data(), in, flat, {}),
                  value, flat, Storage::kWide);
      add_end(&network, std::make_unique<DenseImage>(made, finish), value);
    } else {
      add_end(&network,
              make_last_layer(layer.weights.data(), layer.bias.data(), in, layer.outputs,
                              {layer.size, layer.stride, layer.padding},
                              layer.kind == Case::kTransposed, finish),
              value);
    }
  }
  const Shape image = maps.front().shape;
  const size_t numbers = image.channels * image.pixels();
  const size_t bytes = numbers * (finish.levels ? 1 : sizeof(float));
  std::vector<uint8_t> grouped(kImages * bytes), single(kImages * bytes);
  const void* const inputs[] = {latents.data()};
  void* const grouped_images[] = {grouped.data()};
  void* const single_images[] = {single.data()};
  network.pack(pair);
  const Plan group(pair, network, kGroup);
  const Plan one(pair, network, 1);
  Bytes group_maps(group.maps()), one_maps(one.maps());
  Floats group_floats(group.floats()), one_floats(one.floats());
  for (size_t first = 0; first < kImages; first += kGroup) {
    group.run(inputs, grouped_images, first, std::min(kGroup, kImages - first), group_maps.data(),
              group_floats.data());
  }
  for (size_t n = 0; n < kImages; ++n) {
    one.run(inputs, single_images, n, 1, one_maps.data(), one_floats.data());
  }
  CHECK(grouped == single);

  // The same bytes if threads compute parts of each image, some of which come late or never.
  const Plan parts(pair, network, 1, {kHelpers + 1, /*least=*/0.0});
  Bytes part_maps(parts.maps());
  std::vector<Floats> part_floats(kHelpers + 1, Floats(parts.floats()));
  for (size_t n = 0; n <= kHelpers; ++n) {
    std::fill_n(single.begin() + static_cast<std::ptrdiff_t>(n * bytes), bytes, uint8_t{0});
    Team team;
    std::vector<std::thread> helpers;
    for (size_t i = 0; i < n; ++i) {
      helpers.emplace_back([&, i] { parts.help(part_floats[i + 1].data(), &team); });
    }
    parts.lead(inputs, single_images, n, part_maps.data(), part_floats[0].data(), &team);
    for (std::thread& helper : helpers) helper.join();
  }
  CHECK(grouped == single);

  double worst = 0, squares = 0;
  for (size_t n = 0; n < kImages; ++n) {
    for (size_t c = 0; c < image.channels; ++c) {
      for (size_t p = 0; p < image.pixels(); ++p) {
        const double wanted = squashed(maps[n].values[c * image.pixels() + p], finish);
        double found = 0;
        if (finish.levels) {
          const double level = grouped[n * numbers + p * image.channels + c];
          found = std::abs(level - std::floor(wanted * 255 + 0.5));
          // Half a level apart, either side is right.
          if (found == 1 && std::abs(wanted * 255 + 0.5 - std::round(wanted * 255 + 0.5)) < 1e-3) {
            found = 0;
          }
        } else {
          const auto* const floats = reinterpret_cast<const float*>(grouped.data());
          found =
              std::abs(static_cast<double>(floats[n * numbers + c * image.pixels() + p]) - wanted);
        }
        worst = std::max(worst, found);
        squares += std::pow(found / (finish.levels ? 255 : 1), 2);
      }
    }
  }
  if (&pair.narrow == &pair.wide && !pair.bytes) {
    CHECK(worst < 2e-5);
  } else {
    CHECK(squares / static_cast<double>(kImages * numbers) < (pair.bytes ? 1e-3 : 3e-5));
  }
  return grouped;
}

constexpr float kNone = 1.0f, kRelu = 0.0f, kLeaky = 0.2f;
const Finish kSigmoidLevels = {Squash::kSigmoid, 2.0f, 0.0f, 1.0f, true};
const Finish kClippedLevels = {Squash::kNone, 1.0f, 0.0f, 1.0f, true};
const Finish kTanhFloats = {Squash::kTanhUnit, 1.5f, -1.0f, 2.0f, false};

// All of it, with the same numbers however often it is called.
std::vector<uint8_t> test_layers(const KernelSet& pair) {
  std::vector<uint8_t> all;
  const auto keep = [&](std::vector<uint8_t> bytes) {
    all.insert(all.end(), bytes.begin(), bytes.end());
  };
  // Transposed convolutions, channels and sides that fill no tile.
  keep(test_network(pair, 5,
                    {{Case::kDense, 20, 3, 1, 0, kRelu},
                     {Case::kTransposed, 33, 4, 2, 1, kLeaky},
                     {Case::kTransposed, 7, 4, 2, 1, kNone},
                     {Case::kTransposed, 3, 4, 2, 1, kNone}},
                    kSigmoidLevels));
  // Kernels of 2, 3, 5, 6 and 7, strides of 1 and 2.
  keep(test_network(pair, 17,
                    {{Case::kDense, 16, 13, 1, 0, kLeaky},
                     {Case::kConvolution, 40, 3, 2, 1, kRelu},
                     {Case::kTransposed, 12, 2, 2, 0, kRelu},
                     {Case::kConvolution, 18, 5, 1, 2, kLeaky},
                     {Case::kConvolution, 5, 7, 1, 3, kNone},
                     {Case::kTransposed, 2, 6, 2, 2, kNone}},
                    kTanhFloats));
  // The map leaves group mode on the way.
  keep(test_network(pair, 24,
                    {{Case::kNorm, 0, 0, 0, 0, kNone},
                     {Case::kDense, 64, 8, 1, 0, kLeaky},
                     {Case::kNorm, 0, 0, 0, 0, kNone},
                     {Case::kTransposed, 48, 4, 2, 1, kLeaky},
                     {Case::kNorm, 0, 0, 0, 0, kNone},
                     {Case::kTransposed, 32, 4, 2, 1, kLeaky},
                     {Case::kConvolution, 16, 3, 1, 1, kLeaky},
                     {Case::kNorm, 0, 0, 0, 0, kNone},
                     {Case::kConvolution, 3, 1, 1, 0, kNone}},
                    kClippedLevels));
  // Dense from end to end, grey and in colours.
  keep(test_network(pair, 7,
                    {{Case::kDense, 100, 1, 1, 0, kRelu}, {Case::kDense, 1, 9, 1, 0, kNone}},
                    kSigmoidLevels));
  keep(test_network(pair, 3, {{Case::kDense, 3, 5, 1, 0, kNone}}, kSigmoidLevels));
  // A convolution that makes the image smaller, and one pixel.
  keep(test_network(pair, 4,
                    {{Case::kDense, 9, 6, 1, 0, kRelu}, {Case::kConvolution, 1, 3, 1, 0, kNone}},
                    kSigmoidLevels));
  keep(test_network(pair, 4,
                    {{Case::kDense, 9, 1, 1, 0, kRelu}, {Case::kConvolution, 1, 1, 1, 0, kNone}},
                    kSigmoidLevels));
  return all;
}

#ifndef __SANITIZE_THREAD__
template <typename Unit>
Kernels with_emulated_units(const Kernels& vectors) {
  static constexpr MatrixTiles kTiles = make_matrix_tiles<Unit>();
  Kernels kernels = vectors;
  kernels.tiles = kTiles.tiles;
  kernels.tile_count = kMatrixTiles;
  kernels.has_matrix_units = true;
  return kernels;
}

void test_squash() {
  std::vector<float> values;
  for (int i = -4000; i <= 4000; ++i) values.push_back(static_cast<float>(i) / 40.0f);
  std::vector<float> made = values;
  kernels("fp32").squash(Squash::kSigmoid, 1.0f, -1.0f, 2.0f, made.data(), made.size());
  double worst = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double wanted = 1 / (1 + std::exp(-static_cast<double>(values[i])));
    worst = std::max(worst, std::abs(static_cast<double>(made[i]) - wanted));
  }
  CHECK(worst < 3e-7);
}

void test_all_kernels() {
  std::vector<std::vector<uint8_t>> results;
  for (const Kernels* const kernels : supported_kernels("fp32")) {
    CHECK(use_kernels(kernels->isa));
    test_squash();
    generator.seed(1);
    results.push_back(test_layers({*kernels, *kernels}));
    CHECK(results.back() == results.front());
  }
  CHECK(!use_kernels("none"));
  for (const Kernels* const narrow : supported_kernels("bf16")) {
    test_layers({*narrow, kernels("fp32")});
    const Kernels emulated = with_emulated_units<zoo::test::EmulatedMatrixUnit>(*narrow);
    test_layers({emulated, kernels("fp32")});
  }
  // Beside bytes, a CPU may have bfloat16 or not.
  for (const Kernels* const bytes : supported_kernels("int8")) {
    const Kernels emulated = with_emulated_units<zoo::test::EmulatedByteUnit>(*bytes);
    generator.seed(1);
    const auto images = test_layers({kernels("fp32"), kernels("fp32"), bytes});
    // Sums are integers: matrix units compute the same images.
    generator.seed(1);
    CHECK(test_layers({kernels("fp32"), kernels("fp32"), &emulated}) == images);
    for (const Kernels* const narrow : supported_kernels("bf16")) {
      test_layers({*narrow, kernels("fp32"), bytes});
    }
  }
}
#endif

}  // namespace

int main() {
#ifdef __SANITIZE_THREAD__
  // Threads share the parts of an image in the same way whatever the kernels.
  test_layers({kernels("fp32"), kernels("fp32")});
#else
  test_all_kernels();
#endif
  return zoo::test::report();
}
