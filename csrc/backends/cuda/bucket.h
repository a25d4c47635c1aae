// Runs of one size on one stream of a GPU: the layout of their memory, and the copies to the
// caller.
#pragma once

#include <string>
#include <vector>

#include "backends/backend.h"
#include "backends/cuda/device_rows.h"
#include "backends/cuda/memory.h"

namespace zoo {

class CudaBucket {
 public:
  virtual ~CudaBucket() = default;

  // Runs the graph and waits for its outputs.
  void run(const RunArguments& arguments);

  // Bytes of device memory.
  size_t device_bytes() const { return end_; }

 protected:
  // A tensor in the device memory of the bucket.
  struct Part {
    std::string name;
    size_t offset;
    size_t bytes;  // of all rows
  };

  // The stream must outlive the bucket.
  CudaBucket(size_t rows, const CudaStream& stream) : rows_(rows), stream_(stream) {}

  // Enqueues a run: the inputs, the network, and the download of the outputs if any of them is
  // bound to host memory.
  virtual void enqueue(const RunArguments& arguments) = 0;

  // Reserves device memory; returns its offset.
  size_t reserve(size_t bytes);
  Part reserve_tensor(const std::string& name, size_t bytes) {
    return {name, reserve(bytes), bytes};
  }
  // Outputs are reserved one after another, with nothing in between.
  void reserve_output(const std::string& name, size_t bytes);
  // Allocates what has been reserved. in_ gets the length inputs_end.
  void allocate(size_t inputs_end);

  // Writes `count` seeds and as many indices of samples to the beginning of in_: those of the rows,
  // or the key of row 0.
  void stage_keys(const RunArguments& arguments, size_t count);

  // Enqueues the copy of all outputs to out_.
  void enqueue_download();

  const size_t rows_;
  const CudaStream& stream_;

  // in_ has the inputs at the same offsets as the device memory; out_ has the outputs.
  DeviceMemory device_;
  PinnedMemory in_;
  PinnedMemory out_;
  std::vector<Part> outputs_;
  size_t outputs_begin_ = 0;
  size_t outputs_end_ = 0;

 private:
  // Calls call(address, offset in device memory, bytes) for each output that is bound to `memory`.
  template <typename Call>
  void for_each_output(const RunArguments& arguments, Memory memory, const Call& call) const;

  size_t end_ = 0;
};

}  // namespace zoo
