// Rows of a run that are copied between the memory of the caller and of a bucket.
#pragma once

#include <exception>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "backends/cuda/memory.h"
#include "zoo/errors.h"

namespace zoo {

// Alignment of cudaMalloc, which TensorRT requires of the addresses of tensors.
constexpr size_t kDeviceAlignment = 256;

inline size_t device_aligned(size_t bytes) {
  return (bytes + kDeviceAlignment - 1) / kDeviceAlignment * kDeviceAlignment;
}

// Rows that the caller has in device memory.
struct DeviceRows {
  size_t offset;  // of their copy in the memory of the bucket
  const void* data;
  size_t bytes;
};

// Synchronizes the stream if an exception leaves the scope, because what has been enqueued uses the
// caller's memory.
class SynchronizeOnError {
 public:
  explicit SynchronizeOnError(const CudaStream& stream) : stream_(stream) {}
  SynchronizeOnError(const SynchronizeOnError&) = delete;
  ~SynchronizeOnError() {
    if (std::uncaught_exceptions() > before_) cuda_ops().synchronize(stream_.get());
  }

 private:
  const CudaStream& stream_;
  const int before_ = std::uncaught_exceptions();
};

inline const Binding* find_binding(const std::vector<Binding>& bindings, const std::string& name) {
  for (const Binding& binding : bindings) {
    if (binding.name == name) return &binding;
  }
  return nullptr;
}

// Throws ExecutionError if the input is not bound.
inline const Binding& require_input(const RunArguments& arguments, const std::string& name) {
  const Binding* binding = find_binding(arguments.inputs, name);
  if (!binding) throw ExecutionError("the input '" + name + "' is missing");
  return *binding;
}

// Number of rows that belong to the caller; the others are padding.
inline size_t used_rows(const RunArguments& arguments) {
  return arguments.count ? arguments.count : arguments.rows;
}

inline bool has_outputs_in(const RunArguments& arguments, Memory memory) {
  for (const Binding& output : arguments.outputs) {
    if (output.memory == memory) return true;
  }
  return false;
}

// Enqueues copies from the caller's device memory to that of the bucket.
inline void enqueue_copies(const std::vector<DeviceRows>& copies, unsigned char* device,
                           const CudaStream& stream) {
  for (const DeviceRows& rows : copies) {
    check_cuda(cuda_ops().copy(device + rows.offset, rows.data, rows.bytes, stream.get()));
  }
}

}  // namespace zoo
