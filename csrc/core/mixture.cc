#include "core/mixture.h"

#include <algorithm>
#include <vector>

#include "base/thread_memory.h"
#include "ops/reparametrized_sample.h"

namespace zoo {
namespace {

struct Scratch {
  std::vector<float> choices;
};

// Replaces eps by means + scales · eps, for a row of each.
void transform(const Mixture& mixture, size_t component, size_t width, float* row) {
  const float* const mean = mixture.means.data() + component * width;
  if (mixture.diagonal) {
    const float* const scale = mixture.scales.data() + component * width;
    for (size_t i = 0; i < width; ++i) row[i] = mean[i] + scale[i] * row[i];
    return;
  }
  // From the last number to the first: number i needs eps only up to i.
  const float* const triangle = mixture.scales.data() + component * (width * (width + 1) / 2);
  for (size_t i = width; i-- > 0;) {
    const float* const scale = triangle + i * (i + 1) / 2;
    float sum = 0.0f;
    for (size_t j = 0; j <= i; ++j) sum += scale[j] * row[j];
    row[i] = mean[i] + sum;
  }
}

}  // namespace

void sample_mixture(const Manifest& manifest, uint64_t seed, uint64_t first, size_t rows,
                    float* latents) {
  const Mixture& mixture = manifest.mixture;
  const size_t width = manifest.latent_width;
  std::vector<float>& choices = thread_memory<Scratch>().choices;
  choices.resize(rows);
  fill_normal({seed, first, mixture.stream}, rows, 1, choices.data());
  fill_normal({seed, first, manifest.latent_stream}, rows, width, latents);
  const auto& thresholds = mixture.thresholds;
  for (size_t row = 0; row < rows; ++row) {
    const auto above = std::lower_bound(thresholds.begin(), thresholds.end(), choices[row]);
    transform(mixture, static_cast<size_t>(above - thresholds.begin()), width,
              latents + row * width);
  }
}

}  // namespace zoo
