// What is asked of TensorRT: by its Python bindings (python/plans.cc), or its C++ API
// (tensorrt_engine.cc).
//
// It is asked once for each batch size: what it puts into a stream then is kept as a CUDA
// graph, and replayed without it.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "zoo/export.h"

namespace zoo {

// A plan's network for one batch size. Used by one thread at a time.
class PlanContext {
 public:
  virtual ~PlanContext() = default;

  // Memory that it needs for what lies between inputs and outputs.
  virtual size_t scratch_bytes() const = 0;

  // Device memory of every input and output, and the scratch memory.
  virtual void bind(const std::vector<Binding>& tensors, void* scratch, size_t bytes) = 0;

  // Puts the network's work into a stream, which may be under capture.
  virtual void enqueue(void* stream) = 0;
};

class PlanEngine {
 public:
  virtual ~PlanEngine() = default;

  // Its inputs and outputs as TensorRT says: names, types, and shapes with -1 for the rows. None
  // where it does not say.
  virtual std::vector<PlanTensor> tensors() const = 0;

  // profile: index of the batch size among the plan's; rows: that size.
  virtual std::unique_ptr<PlanContext> context(size_t profile, size_t rows, void* stream) = 0;
};

// Opens the plan in a file on the current device.
using PlanLoader =
    std::function<std::unique_ptr<PlanEngine>(const std::string& path, const Manifest& manifest)>;

// Sets how plans are opened, in the place of open_plan_natively (tensorrt_loader.h). Thread-safe.
ZOO_API void set_plan_loader(PlanLoader loader);

}  // namespace zoo
