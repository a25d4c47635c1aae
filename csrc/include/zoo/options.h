// How an engine is loaded.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "zoo/export.h"

namespace zoo {

// Where the arrays of a call are: kDevice is the memory of the GPU that the engine runs on. What is
// there must be finished when the call is made, and is not looked into: latents are not checked.
enum class Memory { kHost, kDevice };

// Of what goes into a call, and of what comes out.
struct Memories {
  Memory in = Memory::kHost;
  Memory out = Memory::kHost;
};

struct Options {
  // "cpu"; "cuda:N" (or "cuda", the first); "auto": a GPU for a plan, else the CPU.
  std::string device = "auto";
  // For plans "auto"; for others on a GPU "auto" or "onnxruntime". Else "onnxruntime", "openvino",
  // "native" (this library's own kernels, for generators of the layers that they know; it needs no
  // other library), or "auto": the one measured faster for this file (at export, in its
  // manifest) among those installed here. The choice depends on the file alone, so a repeated run
  // gives the same bytes.
  std::string backend = "auto";
  // Or "bf16" where CPU and backend have it, "tf32" on a GPU; plans have their own
  std::string precision = "fp32";
  size_t instances = 0;  // that work in parallel; 0: on a CPU one per core, on a GPU two
  // On a GPU: the one batch size that all runs have, so that images are bit-equal for every
  // request; 0: for each request the one that suits it.
  size_t bucket = 0;
};

// Called now and then (at least every 50 ms) by the thread that waits; returning
// true abandons the work and makes the call throw CancelledError. What it throws comes out of the
// call, which abandons the work too. Either way nothing is written any more when the call is over.
using Cancel = std::function<bool()>;

// Called with one line for what is done differently than was asked, in the thread that asked.
using WarningHandler = std::function<void(const std::string&)>;

// Without a handler warnings are printed on standard error. Thread-safe.
ZOO_API void set_warning_handler(WarningHandler handler);

}  // namespace zoo
