// Choice of the number of rows of a run of a graph.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "core/placement.h"
#include "zoo/manifest.h"
#include "zoo/options.h"

namespace zoo {

// Most rows of one run on a CPU: more bring no throughput and overflow the second-level cache
// (benchmarks/throughput.py).
constexpr size_t kRunRows = 16;

// Thread-safe.
class RunSizes {
 public:
  // The manifest and the placement must outlive this object.
  RunSizes(const Manifest* manifest, const Placement* placement, const Options& options)
      : manifest_(*manifest),
        placement_(*placement),
        bucket_(options.bucket),
        usable_(placement->run_sizes.size()) {}

  // Chooses the rows of a run for a request of n rows: at most `batch` (0: no limit), and at least
  // the manifest's batch_min. Throws ArgumentError.
  //
  // On a CPU, small runs keep the activations in the cache and spread a batch over all instances;
  // the images do not depend on the choice. On a GPU, it is the smallest size that holds all rows,
  // else the largest within the limit.
  size_t choose(uint64_t n, size_t batch) const;

  // The choice on a CPU for many rows.
  size_t usual() const;

  // Excludes the sizes from `rows` upwards. Returns false if none would be left.
  bool exclude_from(size_t rows);

 private:
  size_t choose_bucket(uint64_t n, size_t batch) const;
  size_t choose_for_cpu(uint64_t n, size_t batch) const;

  const Manifest& manifest_;
  const Placement& placement_;
  const size_t bucket_;         // 0: chosen per request
  std::atomic<size_t> usable_;  // number of the placement's sizes in use
};

}  // namespace zoo
