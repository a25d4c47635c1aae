// How many rows go into a run of a graph.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "core/placement.h"
#include "zoo/manifest.h"
#include "zoo/options.h"

namespace zoo {

// Most rows of one run: beyond it a CPU gains no throughput and leaves its second-level cache
// (benchmarks/throughput.py).
constexpr size_t kRunRows = 16;

// Thread-safe.
class RunSizes {
 public:
  // They live as long as this.
  RunSizes(const Manifest* manifest, const Placement* placement, const Options& options)
      : manifest_(*manifest),
        placement_(*placement),
        bucket_(options.bucket),
        usable_(placement->run_sizes.size()) {}

  // Rows of a run for n rows in all, at most `batch` (0: no limit of the caller's). Never below the
  // manifest's batch_min. Throws ArgumentError.
  //
  // On a CPU smaller runs keep the activations in the cache, and one batch then occupies every
  // instance; which images come out does not depend on it. On a GPU, the least size that holds all
  // rows, else the greatest within the limit.
  size_t choose(uint64_t n, size_t batch) const;

  // What is chosen on a CPU for many rows.
  size_t usual() const;

  // Leaves out the sizes from `rows` on; false where no other is left.
  bool leave_out(size_t rows);

 private:
  size_t choose_bucket(uint64_t n, size_t batch) const;
  size_t choose_for_cpu(uint64_t n, size_t batch) const;

  const Manifest& manifest_;
  const Placement& placement_;
  const size_t bucket_;         // 0: as the rows ask for
  std::atomic<size_t> usable_;  // how many of the placement's sizes are in use
};

}  // namespace zoo
