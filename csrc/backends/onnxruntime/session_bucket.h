// Runs of one size of an .onnx engine on one stream of a GPU: its memory, and the CUDA graph that
// is replayed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backends/cuda/bucket.h"
#include "backends/onnxruntime/cuda_session.h"
#include "format/tensors.h"

namespace zoo {

class SessionBucket : public CudaBucket {
 public:
  // draws: the graph has the noise operator. The stream must outlive it. Throws OutOfMemoryError,
  // ExecutionError.
  SessionBucket(const Manifest& manifest, std::shared_ptr<CudaSession> session,
                const CudaStream& stream, int device, size_t rows, bool draws);

  // Runs once, so that the working memory is there and the kernels are loaded, and keeps the next
  // run as a CUDA graph. Why it does not, where results cannot be had that way; else empty.
  // Throws OutOfMemoryError, ExecutionError.
  std::string prepare(bool graph);

 private:
  // What mu and logvar hold in the device's memory, so that what is constant is copied once.
  enum class Operands { kUnknown, kPrior, kPosterior, kGiven };

  void enqueue(const RunArguments& arguments) override;
  TensorInfo info(const std::string& name) const { return tensor_info(name, manifest_, rows_); }
  Part take_input(const std::string& name) { return take_tensor(name, info(name).bytes()); }
  void lay_out(bool draws);
  Ort::IoBinding bind() const;
  void put_inputs(const RunArguments& arguments);
  void put_operands(const RunArguments& arguments);
  void run_session(const Ort::IoBinding& binding, bool wait);
  void run_plainly();
  void capture();
  void try_on(unsigned char salt, bool plainly);

  const Manifest& manifest_;
  const std::shared_ptr<CudaSession> session_;
  const int device_number_;

  // The device's memory: what every run copies there, the key of the noise first and the rows that
  // go in last; mu and logvar of a graph that draws the latent; the outputs.
  std::vector<Part> copied_;
  std::vector<Part> bound_;  // mu, logvar, seed, first
  bool key_ = false;
  size_t latent_bytes_ = 0;  // of mu and of logvar; 0 where the graph does not draw the latent
  size_t mu_ = 0;
  size_t logvar_ = 0;
  size_t copied_end_ = 0;
  Operands held_ = Operands::kUnknown;

  Ort::IoBinding captured_{nullptr};
  CudaGraph graph_;
};

}  // namespace zoo
