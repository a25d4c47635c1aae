// Rows of a run on their way between the caller's memory and a GPU's.
#pragma once

#include <exception>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "backends/cuda/memory.h"
#include "zoo/errors.h"

namespace zoo {

// As cudaMalloc aligns, and as TensorRT asks of every tensor's address.
constexpr size_t kDeviceAlignment = 256;

inline size_t device_aligned(size_t bytes) {
  return (bytes + kDeviceAlignment - 1) / kDeviceAlignment * kDeviceAlignment;
}

// Rows that the caller has in the device's memory, and where they belong in a run's.
struct DeviceRows {
  size_t offset;
  const void* data;
  size_t bytes;
};

// At the end of a scope that an exception leaves, what was put into the stream is done: it uses the
// caller's memory.
class Finished {
 public:
  explicit Finished(const CudaStream& stream) : stream_(stream) {}
  Finished(const Finished&) = delete;
  ~Finished() {
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

// Throws ExecutionError where the input was not given.
inline const Binding& need_input(const RunArguments& arguments, const std::string& name) {
  const Binding* binding = find_binding(arguments.inputs, name);
  if (!binding) throw ExecutionError("the input '" + name + "' was not given");
  return *binding;
}

// Rows of operands and outputs that are somebody's.
inline size_t wanted_rows(const RunArguments& arguments) {
  return arguments.count ? arguments.count : arguments.rows;
}

inline bool wants_outputs(const RunArguments& arguments, Memory memory) {
  for (const Binding& output : arguments.outputs) {
    if (output.memory == memory) return true;
  }
  return false;
}

// Puts the copies of rows from the caller's device memory into the stream.
inline void put_rows(const std::vector<DeviceRows>& given, unsigned char* device,
                     const CudaStream& stream) {
  for (const DeviceRows& rows : given) {
    check_cuda(cuda_ops().copy(device + rows.offset, rows.data, rows.bytes, stream.get()));
  }
}

}  // namespace zoo
