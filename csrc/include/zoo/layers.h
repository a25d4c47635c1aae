// Times of the layers of an engine in the native backend, and the share of the peak performance of
// the processor that they reach.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "zoo/export.h"
#include "zoo/options.h"

namespace zoo {

struct LayerTime {
  std::string name;    // the (first) value of the graph that the layer computes
  std::string kind;    // "convolution", "instance norm", …
  std::string kernel;  // what a tile computes together, "images" or "pixels", and its tiles
  double operations;   // multiplications and additions per image; 0 for layers without products
  double seconds;      // per image; the median of the rounds
};

struct LayerTimes {
  std::string isa;  // instruction set of the kernels
  double ceiling;   // operations/s of one core, measured in the same rounds
  std::vector<LayerTime> layers;
};

// Runs `batch` random images in one thread of the native backend, repeatedly for `seconds`, in the
// precision of the options. Throws ArgumentError, and as the constructor of Generator;
// BackendUnavailableError if the backend does not support a node of the graph.
ZOO_API LayerTimes measure_layers(const std::string& path, const Options& options, size_t batch,
                                  double seconds);

}  // namespace zoo
