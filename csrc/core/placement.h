// Where an engine file runs: on which device, in which backend, by how many instances.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "backends/registry.h"
#include "zoo/manifest.h"
#include "zoo/options.h"

namespace zoo {

struct Placement {
  int device = -1;  // number of the GPU; -1: the CPU
  const BackendEntry* backend = nullptr;
  size_t instances = 1;
  std::vector<size_t> run_sizes;  // of a GPU: the rows that a run can have, rising

  bool on_gpu() const { return device >= 0; }
  std::string device_name() const;  // "cpu" or "cuda:N"
};

// By the options, where they say "auto" by what the manifest has measured. path: for messages.
// Throws ArgumentError for options that are unknown, or not for this file; DeviceUnavailableError
// for a plan on a CPU.
Placement place(const std::string& path, const Manifest& manifest, const Options& options);

}  // namespace zoo
