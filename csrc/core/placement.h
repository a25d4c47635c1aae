// Choice of the device, the backend and the number of instances for an engine file.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "backends/registry.h"
#include "zoo/manifest.h"
#include "zoo/options.h"

namespace zoo {

struct Placement {
  int device = -1;  // number of the GPU, or -1 for the CPU
  const BackendEntry* backend = nullptr;
  const BackendEntry* fallback = nullptr;  // where the backend does not know the graph; null: none
  size_t instances = 1;
  std::vector<size_t> run_sizes;  // on a GPU: the possible rows of a run, rising

  bool on_gpu() const { return device >= 0; }
  std::string device_name() const;  // "cpu" or "cuda:N"
};

// Chooses by the options and, where they are "auto", by the throughput in the manifest. path: for
// messages. Throws ArgumentError for options that are unknown or do not fit the file;
// DeviceUnavailableError for a plan on the CPU.
Placement place(const std::string& path, const Manifest& manifest, const Options& options);

}  // namespace zoo
