// Opens TensorRT without Python, and our code for its C++ API, which is a library of its own for
// each distribution of TensorRT.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "backends/tensorrt/plan_engine.h"

namespace zoo {

// A PlanLoader. Throws BackendUnavailableError (TensorRT is not installed, or of another version),
// EngineFileError, OutOfMemoryError.
std::unique_ptr<PlanEngine> open_plan_natively(const std::string& path, const Manifest& manifest);

// Exported by libzoo_tensorrt.so and libzoo_tensorrt_rtx.so as zoo_tensorrt_entry.
struct TensorRtEntry {
  uint64_t interface;  // must be our kTensorRtInterface (zoo_interfaces.h)
  int major;           // version of the headers, with which the name of TensorRT's library ends
  // Throws BackendUnavailableError if the library is not a compatible TensorRT.
  void (*check)(void* library, const std::string& library_path);
  // Opens a plan with a library that was checked and stays open from then on.
  std::unique_ptr<PlanEngine> (*open)(void* library, const std::string& path,
                                      const Manifest& manifest);
};

}  // namespace zoo
