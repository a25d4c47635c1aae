// Runs of one size of an engine on one stream of a GPU: where its tensors lie, and how a run's
// results get to the caller.
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

  // Returns when it is done.
  void run(const RunArguments& arguments);

  // Of the device's memory.
  size_t device_bytes() const { return end_; }

 protected:
  // A tensor at an offset in the device's memory.
  struct Part {
    std::string name;
    size_t offset;
    size_t bytes;  // of all rows
  };

  // The stream must outlive it.
  CudaBucket(size_t rows, const CudaStream& stream) : rows_(rows), stream_(stream) {}

  // Puts a run into the stream: the inputs, the network, the copies of the outputs to out_ where
  // one is wanted in the host's memory.
  virtual void enqueue(const RunArguments& arguments) = 0;

  // Offset of the next bytes of the device's memory.
  size_t take(size_t bytes);
  Part take_tensor(const std::string& name, size_t bytes) { return {name, take(bytes), bytes}; }
  // One after another, with nothing else between them.
  void take_output(const std::string& name, size_t bytes);
  // When all is taken. inputs_end: how much of it in_ is as long as.
  void allocate(size_t inputs_end);

  const size_t rows_;
  const CudaStream& stream_;

  // Inputs lie in in_ as they do in the device's memory; outputs in out_.
  DeviceMemory device_;
  PinnedMemory in_;
  PinnedMemory out_;
  std::vector<Part> outputs_;
  size_t outputs_begin_ = 0;
  size_t outputs_end_ = 0;

  void put_copies_down();

 private:
  // call(the caller's memory, offset of the output in the device's memory, bytes) for each output
  // that is wanted in that memory.
  template <typename Call>
  void each_output(const RunArguments& arguments, Memory memory, const Call& call) const;

  size_t end_ = 0;
};

}  // namespace zoo
