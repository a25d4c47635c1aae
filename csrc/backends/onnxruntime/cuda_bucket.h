// Runs of one size of an .onnx engine on one stream of a GPU: its memory, and the CUDA graph that
// is replayed.
#pragma once

#include <string>
#include <vector>

#include "backends/device_rows.h"
#include "backends/onnxruntime/ort_api.h"

namespace zoo {

class CudaBucket {
 public:
  // draws: the graph has the noise operator. Session and stream must outlive it. Throws
  // OutOfMemoryError, ExecutionError.
  CudaBucket(const Manifest& manifest, Ort::Session* session, const CudaStream& stream, int device,
             size_t rows, bool draws);

  // Runs once, so that the working memory is there and the kernels are loaded, and keeps the next
  // run as a CUDA graph. Why it does not, where results cannot be had that way; else empty.
  // Throws OutOfMemoryError, ExecutionError.
  std::string prepare(bool graph);

  // Returns when it is done.
  void run(const RunArguments& arguments);

  size_t device_bytes() const { return end_; }

 private:
  // A tensor at an offset in the device's memory.
  struct Part {
    std::string name;
    size_t offset;
    TensorInfo info;

    size_t bytes() const { return info.bytes(); }
  };

  // What mu and logvar hold in the device's memory, so that what is constant is copied once.
  enum class Operands { kUnknown, kPrior, kPosterior, kGiven };

  size_t take(size_t bytes);
  Part take_tensor(const std::string& name);
  void lay_out(bool draws);
  Ort::IoBinding bind() const;
  void put_inputs(const RunArguments& arguments);
  void put_operands(const RunArguments& arguments);
  void put_copies_down();
  void run_session(const Ort::IoBinding& binding, bool wait);
  void run_plainly();
  void capture();
  void try_on(unsigned char salt, bool plainly);

  const Manifest& manifest_;
  Ort::Session* const session_;
  const CudaStream& stream_;
  const int device_number_;
  const size_t rows_;

  // The device's memory: what every run copies there, the key of the noise first and the rows that
  // go in last; mu and logvar of a graph that draws the latent; the outputs. Inputs lie in in_ as
  // they do there, outputs in out_.
  std::vector<Part> copied_;
  std::vector<Part> bound_;  // mu, logvar, seed, first
  std::vector<Part> outputs_;
  bool key_ = false;
  size_t latent_bytes_ = 0;  // of mu and of logvar; 0 where the graph does not draw the latent
  size_t mu_ = 0;
  size_t logvar_ = 0;
  size_t copied_end_ = 0;
  size_t inputs_end_ = 0;
  size_t end_ = 0;
  Operands held_ = Operands::kUnknown;

  DeviceMemory device_;
  PinnedMemory in_;
  PinnedMemory out_;
  Ort::IoBinding captured_{nullptr};
  CudaGraph graph_;
};

}  // namespace zoo
