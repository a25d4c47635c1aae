// Options of loading and calling engines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "zoo/export.h"

namespace zoo {

// Location of the arrays of a call; kDevice is the memory of the GPU that the engine runs on. Data
// there must be complete when the call is made, and is not validated.
enum class Memory { kHost, kDevice };

// Locations of the inputs and of the outputs of a call.
struct Memories {
  Memory in = Memory::kHost;
  Memory out = Memory::kHost;
};

// What the noise of an image is a function of: a seed, and the index of the image in its run.
struct SampleKey {
  uint64_t seed = 0;
  uint64_t index = 0;
};

struct Options {
  // "cpu", "cuda:N" ("cuda" is the first GPU), or "auto": a GPU for a plan, else the CPU.
  std::string device = "auto";
  // On a CPU: "onnxruntime", "openvino", "native" (this library's own kernels, which need no other
  // library), or "auto": native if it supports every operator of the graph and the CPU has the
  // precision (in bf16 not on CPUs with AMX), else the one of those installed that was fastest for
  // this file at export, as recorded in its manifest, so that a repeated run gives the same bytes.
  // On a GPU: "onnxruntime" or "auto" for an .onnx engine, "auto" for a plan.
  std::string backend = "auto";
  // Or "bf16" if CPU and backend support it; "int8" in the backend native, if the CPU has
  // AVX512-VNNI and the file has ranges of its activations (docs/native.md); "tf32" on a GPU. A
  // plan has the precision it was built in.
  std::string precision = "fp32";
  size_t instances = 0;  // number of parallel instances; 0: one per core on a CPU, two on a GPU
  // On a GPU: the batch size of all runs, so that images are bit-equal for every request; 0: chosen
  // per request.
  size_t bucket = 0;
};

// Called at least every 50 ms by the thread that waits for the call. If it returns true, the work
// is abandoned and the call throws CancelledError; if it throws, the work is abandoned and the call
// rethrows. In either case no output is written after the call.
using Cancel = std::function<bool()>;

// Called with a one-line message, in the thread that made the call.
using WarningHandler = std::function<void(const std::string&)>;

// Sets the handler of warnings. Without one they are printed on standard error. Thread-safe.
ZOO_API void set_warning_handler(WarningHandler handler);

}  // namespace zoo
