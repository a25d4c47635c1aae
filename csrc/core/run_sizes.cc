#include "core/run_sizes.h"

#include <algorithm>
#include <string>

#include "format/tensors.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

// A graph that takes small images may be so cheap (an encoder of dense layers) that starting a run
// costs more than its rows; a convolutional one is as fast with either size. Only used for calls of
// many such runs, since the last one is padded.
constexpr size_t kWideRunRows = 64;
constexpr size_t kWideImageBytes = 4096;
constexpr size_t kWideRuns = 4;  // per instance

bool takes_small_images(const Manifest& manifest) {
  if (takes_latents(manifest)) return false;
  return tensor_info(input_name(manifest), manifest, 1).bytes() <= kWideImageBytes;
}

size_t next_power_of_two(size_t value) {
  size_t power = 1;
  while (power < value) power *= 2;
  return power;
}

}  // namespace

size_t RunSizes::choose(uint64_t n, size_t batch) const {
  if (batch > manifest_.batch_max) {
    throw ArgumentError("batch: expected at most " + std::to_string(manifest_.batch_max) +
                        ", got " + std::to_string(batch));
  }
  if (placement_.on_gpu()) return choose_bucket(n, batch);
  const size_t rows = choose_for_cpu(n, batch);
  return placement_.backend->rows_match_across_sizes ? rows : std::max(manifest_.batch_min, rows);
}

size_t RunSizes::usual() const {
  return std::max(manifest_.batch_min, std::min(kRunRows, manifest_.batch_max));
}

size_t RunSizes::choose_bucket(uint64_t n, size_t batch) const {
  if (bucket_ != 0) return bucket_;
  const std::vector<size_t>& sizes = placement_.run_sizes;
  const size_t limit = batch ? batch : sizes.back();
  size_t best = sizes.front();
  for (size_t i = 0; i < usable_ && sizes[i] <= limit; ++i) {
    best = sizes[i];
    if (best >= n) break;
  }
  return best;
}

size_t RunSizes::choose_for_cpu(uint64_t n, size_t batch) const {
  const size_t most = std::min(kRunRows, manifest_.batch_max);
  if (batch != 0) {
    const size_t runs = (batch + most - 1) / most;
    return (batch + runs - 1) / runs;
  }
  const uint64_t share = (n + placement_.instances - 1) / placement_.instances;
  if (share >= kWideRuns * kWideRunRows && takes_small_images(manifest_)) {
    return std::min(kWideRunRows, manifest_.batch_max);
  }
  return share >= most ? most : std::min(most, next_power_of_two(static_cast<size_t>(share)));
}

bool RunSizes::exclude_from(size_t rows) {
  if (bucket_ != 0) return false;
  const std::vector<size_t>& sizes = placement_.run_sizes;
  const auto position = std::find(sizes.begin(), sizes.end(), rows);
  if (position == sizes.begin() || position == sizes.end()) return false;
  usable_ = std::min(usable_.load(), static_cast<size_t>(position - sizes.begin()));
  return true;
}

}  // namespace zoo
