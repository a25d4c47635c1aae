// Interface to TensorRT, implemented by its Python module (python/plans.cc) and by its C++ API
// (tensorrt_engine.cc). It is only used once per batch size: what TensorRT enqueues is captured as
// a CUDA graph and replayed without it.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "zoo/export.h"

namespace zoo {

// The network of a plan for one batch size. Used by one thread at a time.
class PlanContext {
 public:
  virtual ~PlanContext() = default;

  // Bytes of device memory needed for intermediate results.
  virtual size_t scratch_bytes() const = 0;

  // Sets the device memory of all inputs and outputs and the scratch memory.
  virtual void bind(const std::vector<Binding>& tensors, void* scratch, size_t bytes) = 0;

  // Enqueues a run into a stream, which may be under capture.
  virtual void enqueue(void* stream) = 0;
};

class PlanEngine {
 public:
  virtual ~PlanEngine() = default;

  // Names, types and shapes (-1 for the batch) of the inputs and outputs; empty if not known.
  virtual std::vector<PlanTensor> tensors() const = 0;

  // profile: index of the batch size `rows` in the plan.
  virtual std::unique_ptr<PlanContext> context(size_t profile, size_t rows, void* stream) = 0;
};

// Opens a plan on the current device.
using PlanLoader =
    std::function<std::unique_ptr<PlanEngine>(const std::string& path, const Manifest& manifest)>;

// Sets the function that opens plans, instead of open_plan_natively (tensorrt_loader.h).
// Thread-safe.
ZOO_API void set_plan_loader(PlanLoader loader);

}  // namespace zoo
