// Execution times of the layers of an engine in the native backend, and the peak performance of a
// core to compare them with.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "zoo/export.h"
#include "zoo/options.h"

namespace zoo {

struct LayerTime {
  std::string name;    // (first) value of the graph that the layer computes
  std::string kind;    // "convolution", "instance norm", …
  std::string kernel;  // "images" or "pixels", whichever a tile computes together, and the tiles
  double operations;   // multiplications and additions per image; 0 for layers without products
  double seconds;      // per image; the median of the rounds
};

struct LayerTimes {
  std::string isa;  // instruction set of the kernels
  double ceiling;   // peak operations/s of one core, measured in the same rounds
  std::vector<LayerTime> layers;
};

// Measures the layers of the engine file at `path`: runs a batch of `batch` random images in one
// thread of the native backend, in the precision of the options, repeatedly for `seconds` seconds.
// Throws ArgumentError if `batch` is out of range, BackendUnavailableError if the backend does not
// support a node of the graph, and the errors of the Generator constructor.
ZOO_API LayerTimes measure_layers(const std::string& path, const Options& options, size_t batch,
                                  double seconds);

}  // namespace zoo
