// Where the time of an engine goes: how long each layer takes in the native backend, and how much
// of what the processor can do it gets.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "zoo/export.h"
#include "zoo/options.h"

namespace zoo {

struct LayerTime {
  std::string name;    // the value of the graph that the layer computes, or begins to
  std::string kind;    // "convolution", "instance norm", …
  std::string kernel;  // "images" or "pixels", which a tile computes together, and its tiles
  double operations;   // multiplications and additions of an image; 0 where there are no products
  double seconds;      // of an image; the median of the rounds
};

struct LayerTimes {
  std::string isa;  // instruction set of the kernels
  double ceiling;   // operations/s of one core, measured in the same rounds
  std::vector<LayerTime> layers;
};

// Runs `batch` random images in one thread, again and again for that many seconds. Uses the native
// backend and the precision of the options. Throws ArgumentError, and what opening an engine
// throws: BackendUnavailableError where the backend does not know one of the graph's nodes.
ZOO_API LayerTimes measure_layers(const std::string& path, const Options& options, size_t batch,
                                  double seconds);

}  // namespace zoo
