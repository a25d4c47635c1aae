// The tiles for matrix units, on emulated ones, against sums in double precision: all sizes, ragged
// channels, taps, strides and both types of results. The bits of a sum must not depend on its tile.
// On a CPU with matrix units, they must have the same bits as the emulated ones.
#include <map>
#include <random>
#include <vector>

#include "backends/native/matrix_units.h"
#include "emulated_matrix_unit.h"

namespace {

using namespace zoo::native;
using zoo::test::EmulatedByteUnit;
using zoo::test::EmulatedMatrixUnit;

constexpr MatrixTiles kTiles = make_matrix_tiles<EmulatedMatrixUnit>();
constexpr MatrixTiles kByteTiles = make_matrix_tiles<EmulatedByteUnit>();

float widened(uint16_t half) {
  const uint32_t bits = static_cast<uint32_t>(half) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Slots and weights of a layer with two taps, the second one a slot further on.
struct Layer {
  static constexpr size_t kBlocks = 3, kColumns = 4, kTaps = 2, kLength = 40;

  explicit Layer(size_t channels) : depth(channels - (kBlocks - 1) * kBlock) {
    std::mt19937 generator(static_cast<unsigned>(channels));
    std::normal_distribution<float> normal;
    slots.resize(kBlocks * kLength * kBlock);
    for (uint16_t& slot : slots) slot = rounded_to_bfloat16(normal(generator));
    for (size_t c = 0; c < kColumns * kBlock; ++c) bias.push_back(normal(generator));
    weights.resize(kColumns * kTaps * kBlocks * kBlock * kBlock);
    for (size_t n = 0; n < kColumns * kBlock; ++n) {
      for (size_t t = 0; t < kTaps; ++t) {
        for (size_t k = 0; k < channels; ++k) {
          weights[index(n, t, k)] = rounded_to_bfloat16(normal(generator) / 8);
        }
      }
    }
    // Slots beyond the channels: whatever they hold must not be read.
    for (size_t slot = 0; slot < kLength; ++slot) {
      for (size_t k = (depth + 1) / 2 * 2; k < kBlock; ++k) {
        slots[((kBlocks - 1) * kLength + slot) * kBlock + k] = 0x7fc0;  // NaN
      }
    }
  }

  // Weights are packed in pairs of channels: [column block][tap][block][channel / 2][column][2].
  static size_t index(size_t n, size_t t, size_t k) {
    const size_t block = ((n / kBlock * kTaps + t) * kBlocks + k / kBlock) * kBlock * kBlock;
    return block + k % kBlock / 2 * 2 * kBlock + 2 * (n % kBlock) + k % 2;
  }

  double sum(size_t slot, size_t n) const {
    double sum = static_cast<double>(bias[n]);
    for (size_t t = 0; t < kTaps; ++t) {
      for (size_t k = 0; k < (kBlocks - 1) * kBlock + depth; ++k) {
        const size_t at = (k / kBlock * kLength + slot + t) * kBlock + k % kBlock;
        sum += static_cast<double>(widened(slots[at])) *
               static_cast<double>(widened(weights[index(n, t, k)]));
      }
    }
    return sum;
  }

  size_t depth;
  std::vector<uint16_t> slots;  // [block][slot][16]
  std::vector<uint16_t> weights;
  std::vector<float> bias;
};

double rectified(double value, double slope) { return value > 0 ? value : slope * value; }

void test_tile(const Layer& layer, const Tile& tile, std::map<size_t, float>* seen) {
  constexpr float kSlope = 0.25f;
  const size_t step = tile.step == 0 ? 1 : tile.step;
  const ptrdiff_t offsets[] = {0, static_cast<ptrdiff_t>(kBlock)};
  const uint32_t places[] = {0, 1};
  TileCall call;
  call.in = layer.slots.data();
  call.in_step = kBlock;
  call.in_block = Layer::kLength * kBlock;
  call.blocks = Layer::kBlocks;
  call.depth = layer.depth;
  call.taps = Layer::kTaps;
  call.offsets = offsets;
  call.places = places;
  call.weights = layer.weights.data();
  call.tap_size = Layer::kBlocks * kBlock * kBlock;
  call.column_size = Layer::kTaps * call.tap_size;
  call.bias = layer.bias.data();
  call.slope = kSlope;
  call.out_block = tile.rows * kBlock;
  call.out_step = kBlock;
  std::vector<float> sums(tile.columns * call.out_block);
  call.out = sums.data();
  tile.run_sums(call);
  std::vector<uint16_t> elements(sums.size());
  call.out = elements.data();
  tile.run(call);
  for (size_t n = 0; n < tile.columns * kBlock; ++n) {
    for (size_t m = 0; m < tile.rows; ++m) {
      const size_t at = n / kBlock * call.out_block + m * kBlock + n % kBlock;
      const double expected = rectified(layer.sum(m * step, n), kSlope);
      CHECK(std::abs(static_cast<double>(sums[at]) - expected) < 1e-4);
      CHECK(elements[at] == rounded_to_bfloat16(sums[at]));
      const size_t key = (m * step) * 64 + n;
      const float same = seen->emplace(key, sums[at]).first->second;
      CHECK(std::memcmp(&same, &sums[at], sizeof same) == 0);
    }
  }
}

// Slots of unsigned bytes and weights of signed ones, against exact integers.
void test_byte_tile(const Tile& tile, size_t depth) {
  constexpr size_t kBlocks = 2, kLength = 40;
  std::mt19937 generator(static_cast<unsigned>(depth));
  std::vector<uint8_t> slots(kBlocks * kLength * kBlock);
  std::vector<int8_t> weights(tile.columns * kBlocks * kBlock * kBlock);
  std::vector<int32_t> start(tile.columns * kBlock);
  std::vector<float> scale(start.size()), bias(start.size());
  for (uint8_t& slot : slots) slot = static_cast<uint8_t>(generator());
  for (int8_t& weight : weights) weight = static_cast<int8_t>(generator());
  for (size_t c = 0; c < start.size(); ++c) {
    start[c] = static_cast<int32_t>(generator() % 2000) - 1000;
    scale[c] = 1e-4f * static_cast<float>(generator() % 9 + 1);
    bias[c] = static_cast<float>(generator() % 7) - 3.0f;
  }
  const size_t step = tile.step == 0 ? 1 : tile.step;
  const ptrdiff_t offset = 0;
  const uint32_t place = 0;
  TileCall call;
  call.in = slots.data();
  call.in_step = kBlock;
  call.in_block = kLength * kBlock;
  call.blocks = kBlocks;
  call.depth = depth;
  call.taps = 1;
  call.offsets = &offset;
  call.places = &place;
  call.weights = weights.data();
  call.tap_size = call.column_size = kBlocks * kBlock * kBlock;
  call.bias = bias.data();
  call.scale = scale.data();
  call.start = start.data();
  call.slope = 0.5f;
  call.out_block = tile.rows * kBlock;
  call.out_step = kBlock;
  std::vector<float> results(tile.columns * call.out_block);
  call.out = results.data();
  tile.run_sums(call);
  // Four channels are multiplied at once: those of the last word are read whole.
  const size_t channels = kBlock + (depth + 3) / 4 * 4;
  for (size_t n = 0; n < tile.columns * kBlock; ++n) {
    for (size_t m = 0; m < tile.rows; ++m) {
      int64_t sum = start[n];
      for (size_t k = 0; k < channels; ++k) {
        const size_t block = (n / kBlock * kBlocks + k / kBlock) * kBlock * kBlock;
        const size_t weight = block + (k % kBlock / 4 * kBlock + n % kBlock) * 4 + k % 4;
        sum += static_cast<int64_t>(weights[weight]) *
               slots[(k / kBlock * kLength + m * step) * kBlock + k % kBlock];
      }
      const double value =
          static_cast<double>(sum) * static_cast<double>(scale[n]) + static_cast<double>(bias[n]);
      const size_t at = n / kBlock * call.out_block + m * kBlock + n % kBlock;
      CHECK(std::abs(static_cast<double>(results[at]) - rectified(value, 0.5)) <
            1e-6 * std::max(1.0, std::abs(value)));
    }
  }
}

void test_rounding() {
  CHECK(rounded_to_bfloat16(1.0f) == 0x3f80);
  CHECK(rounded_to_bfloat16(1.00390625f) == 0x3f80);     // a tie, to even
  CHECK(rounded_to_bfloat16(1.01171875f) == 0x3f82);     // a tie, to even
  CHECK(rounded_to_bfloat16(1.00390637f) == 0x3f81);     // just above the first tie
  CHECK(rounded_to_bfloat16(-3.4028235e38f) == 0xff80);  // beyond the greatest number
  CHECK(rounded_to_bfloat16(std::nanf("")) == 0x7fc0);
}

}  // namespace

int main() {
  test_rounding();
  for (const size_t rest : {1, 2, 7, 15, 16}) {
    const Layer layer((Layer::kBlocks - 1) * kBlock + rest);
    std::map<size_t, float> seen;
    for (const Tile& tile : kTiles.tiles) test_tile(layer, tile, &seen);
    if (!request_matrix_units()) continue;
    const Kernels& kernels = matrix_kernels();
    for (size_t i = 0; i < kernels.tile_count; ++i) test_tile(layer, kernels.tiles[i], &seen);
  }
  for (const size_t depth : {1, 4, 6, 13, 16}) {
    for (const Tile& tile : kByteTiles.tiles) test_byte_tile(tile, depth);
    if (!request_matrix_units()) continue;
    const Kernels& kernels = byte_matrix_kernels();
    for (size_t i = 0; i < kernels.tile_count; ++i) test_byte_tile(kernels.tiles[i], depth);
  }
  return zoo::test::report();
}
