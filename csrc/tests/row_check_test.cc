// The comparison of runs of two sizes detects a library that sums in another order for some sizes,
// even if few of its values differ.

#include "core/row_check.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/check.h"

namespace {

constexpr size_t kWidth = 6;

zoo::Manifest encoder() {
  zoo::Manifest manifest;
  manifest.role = "encoder";
  manifest.posterior = "deterministic";
  manifest.image = {4, 4, 1, zoo::ImageType::kUint8};
  manifest.latent_width = kWidth;
  return manifest;
}

// mu: sums over the pixels of a row. In runs of `other` rows, one value in `one_in` is off by an
// ulp, like values whose rounding depends on the order of the sum.
class Sums : public zoo::Backend {
 public:
  Sums(size_t other, uint32_t one_in) : other_(other), one_in_(one_in) {}

  zoo::NoiseFrom noise_from() const override { return zoo::NoiseFrom::kCaller; }
  bool fixed_batch() const override { return true; }
  void prepare(size_t rows) override { prepared.push_back(rows); }
  void run(size_t instance, const zoo::RunArguments& arguments) override {
    CHECK(instance == 1);
    CHECK(std::count(prepared.begin(), prepared.end(), arguments.rows) == 1);
    const auto* pixels = static_cast<const unsigned char*>(arguments.inputs.at(0).data);
    auto* mu = static_cast<float*>(arguments.outputs.at(0).data);
    for (size_t row = 0; row < arguments.rows; ++row) {
      for (size_t k = 0; k < kWidth; ++k) {
        uint32_t hash = static_cast<uint32_t>(k);
        for (size_t i = 0; i < 16; ++i) hash = (hash ^ pixels[row * 16 + i]) * 16777619u;
        float value = 1.0f + static_cast<float>(hash >> 8) * 0x1p-24f;
        const bool off = arguments.rows == other_ && hash % one_in_ == 0;
        if (off) value = std::nextafter(value, 9.0f);
        mu[row * kWidth + k] = value;
      }
    }
  }

  std::vector<size_t> prepared;

 private:
  const size_t other_;
  const uint32_t one_in_;
};

void sizes() {
  const zoo::Manifest manifest = encoder();
  for (const size_t fewer : {1u, 2u, 4u, 16u}) {
    Sums same(0, 1);
    CHECK(zoo::rows_match_across_sizes(&same, manifest, 1, fewer, 64));
    for (const uint32_t one_in : {1u, 10u, 100u, 300u}) {
      Sums few(fewer, one_in);
      CHECK(!zoo::rows_match_across_sizes(&few, manifest, 1, fewer, 64));
      Sums many(64, one_in);
      CHECK(!zoo::rows_match_across_sizes(&many, manifest, 1, fewer, 64));
    }
  }
  // With a size that is not a divisor, the rows past the last whole run are not compared.
  Sums odd(5, 50);
  CHECK(!zoo::rows_match_across_sizes(&odd, manifest, 1, 5, 16));
}

}  // namespace

int main() {
  sizes();
  return zoo::test::report();
}
