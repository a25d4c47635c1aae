// How an engine is loaded.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace zoo {

struct Options {
  std::string device = "cpu";
  // "onnxruntime", "openvino", or "auto": the one measured faster for this
  // file (at export, in its manifest) among those installed here. The choice
  // depends on the file alone, so a repeated run gives the same bytes.
  std::string backend = "auto";
  std::string precision = "fp32";  // or "bf16" where the CPU and the backend have it
  size_t instances = 0;            // parallel single-threaded instances; 0: one per core
};

// Called now and then (at least every 50 ms) by the thread that waits; returning
// true abandons the work and makes the call throw CancelledError.
using Cancel = std::function<bool()>;

}  // namespace zoo
