// Rows of images in a backend with fixed run sizes: nothing is read or written past the caller's
// rows, and outputs that are not needed are not bound.

#include <numeric>
#include <string>
#include <vector>

#include "core/image_runner.h"
#include "tests/check.h"

namespace {

constexpr size_t kBytes = 5;

zoo::Manifest encoder() {
  zoo::Manifest manifest;
  manifest.role = "encoder";
  return manifest;
}

// mu: the sum of a row's bytes; logvar: its first byte.
class SumBackend : public zoo::Backend {
 public:
  explicit SumBackend(bool fixed) : fixed_(fixed) {}

  zoo::NoiseFrom noise_from() const override { return zoo::NoiseFrom::kCaller; }
  bool fixed_batch() const override { return fixed_; }
  void prepare(size_t) override {}
  void run(size_t, const zoo::RunArguments& arguments) override {
    CHECK(arguments.inputs.size() == 1 && arguments.inputs[0].name == std::string("image"));
    const auto* in = static_cast<const unsigned char*>(arguments.inputs[0].data);
    rows.push_back(arguments.rows);
    for (const zoo::Binding& output : arguments.outputs) {
      names.push_back(output.name);
      auto* out = static_cast<float*>(output.data);
      for (size_t r = 0; r < arguments.rows; ++r) {
        const unsigned char* row = in + r * kBytes;
        const int sum = std::accumulate(row, row + kBytes, 0);
        out[r] = static_cast<float>(output.name == std::string("mu") ? sum : row[0]);
      }
    }
  }

  std::vector<size_t> rows;
  std::vector<std::string> names;

 private:
  const bool fixed_;
};

void rows_are_padded_and_cut(bool fixed) {
  for (const size_t n : {1u, 3u, 4u, 5u, 8u, 11u}) {
    constexpr size_t kBatch = 4;
    std::vector<unsigned char> images(n * kBytes);
    std::iota(images.begin(), images.end(), static_cast<unsigned char>(1));
    std::vector<float> mu(n);
    std::vector<float> logvar(n);
    SumBackend backend(fixed);
    for (size_t offset = 0; offset < n; offset += kBatch) {
      const size_t count = std::min(kBatch, n - offset);
      const zoo::RowCall call = {
          {"image", images.data(), kBytes},
          {{"mu", mu.data(), sizeof(float)}, {"logvar", logvar.data(), sizeof(float)}},
          {}};
      zoo::run_image_rows(&backend, encoder(), 0, call, offset, count, kBatch);
      CHECK(backend.rows.back() == (fixed ? kBatch : count));
    }
    for (size_t r = 0; r < n; ++r) {
      const unsigned char* row = images.data() + r * kBytes;
      CHECK(mu[r] == static_cast<float>(std::accumulate(row, row + kBytes, 0)));
      CHECK(logvar[r] == static_cast<float>(row[0]));
    }
  }
}

void null_outputs_are_not_bound(bool fixed) {
  std::vector<unsigned char> images(3 * kBytes, 7);
  std::vector<float> mu(3);
  SumBackend backend(fixed);
  const zoo::RowCall call = {{"image", images.data(), kBytes},
                             {{"mu", mu.data(), sizeof(float)}, {"logvar", nullptr, sizeof(float)}},
                             {}};
  zoo::run_image_rows(&backend, encoder(), 0, call, 0, 3, 4);
  CHECK(backend.names == std::vector<std::string>{"mu"});
  CHECK(mu == std::vector<float>(3, 7.0f * kBytes));
}

}  // namespace

int main() {
  for (const bool fixed : {false, true}) {
    rows_are_padded_and_cut(fixed);
    null_outputs_are_not_bound(fixed);
  }
  return zoo::test::report();
}
