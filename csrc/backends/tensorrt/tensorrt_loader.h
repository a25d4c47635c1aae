// Opens TensorRT and our code for its C++ API, a library of its own for each TensorRT, where both
// are installed. No Python.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "backends/tensorrt/plan_engine.h"

namespace zoo {

// A PlanLoader. Throws BackendUnavailableError (that TensorRT is not here, or is of another
// version), EngineFileError, OutOfMemoryError.
std::unique_ptr<PlanEngine> open_plan_natively(const std::string& path, const Manifest& manifest);

// What libzoo_tensorrt.so and libzoo_tensorrt_rtx.so export under the name zoo_tensorrt_entry.
struct TensorRtEntry {
  uint64_t interface;  // kTensorRtInterface of both sides must agree (zoo_interfaces.h)
  int major;           // of the headers that it was built with: the library's name ends with it
  // Throws BackendUnavailableError where the library is no TensorRT of that major version.
  void (*check)(void* library, const std::string& library_path);
  // Opens a plan with a library that was checked; the library stays open from then on.
  std::unique_ptr<PlanEngine> (*open)(void* library, const std::string& path,
                                      const Manifest& manifest);
};

}  // namespace zoo
