// Execution times of the layers of an engine, and the peak performance of a core to compare them
// with.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "zoo/export.h"
#include "zoo/options.h"

namespace zoo {

struct LayerTime {
  std::string name;    // (first) value of the graph that the layer computes; OpenVINO's own name
  std::string kind;    // "convolution", "instance norm", …; OpenVINO's type of the node
  std::string kernel;  // "images" or "pixels", whichever a tile computes together, and the tiles;
                       // OpenVINO's name of the kernel, which ends with its precision
  double operations;   // multiplications and additions per image; 0 for layers without products,
                       // and in OpenVINO
  double seconds;      // per image; the median of the rounds
};

struct LayerTimes {
  std::string isa;  // instruction set of the kernels; empty in OpenVINO
  // Peak operations/s of one core, measured in the same rounds; in int8 those of bytes, for all
  // layers; 0 in OpenVINO.
  double ceiling = 0.0;
  std::vector<LayerTime> layers;
};

// Measures the layers of the engine file at `path`: runs a batch of `batch` random images in one
// thread of the backend of the options ("auto": native), in their precision, repeatedly for
// `seconds` seconds. Throws ArgumentError if `batch` is out of range, BackendUnavailableError if
// the backend does not support a node of the graph or does not measure layers, and the errors of
// the Generator constructor.
ZOO_API LayerTimes measure_layers(const std::string& path, const Options& options, size_t batch,
                                  double seconds);

}  // namespace zoo
