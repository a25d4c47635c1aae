// One batch size of an .onnx engine on one stream of a GPU: its memory, and the CUDA graph that is
// replayed.
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
  // draws: the graph has the noise operator. The stream must outlive the bucket. Throws
  // OutOfMemoryError, ExecutionError.
  SessionBucket(const Manifest& manifest, std::shared_ptr<CudaSession> session,
                const CudaStream& stream, int device, size_t rows, GraphNoise noise);

  // Runs the session once, to allocate memory and load kernels, and if `graph` captures a run as a
  // CUDA graph. Returns the reason if it cannot be captured correctly, else "". Throws
  // OutOfMemoryError, ExecutionError.
  std::string prepare(bool graph);

 private:
  // Contents of mu and logvar in device memory, so that constants are copied only once.
  enum class Operands { kUnknown, kPrior, kPosterior, kLatent };

  void enqueue(const RunArguments& arguments) override;
  TensorInfo info(const std::string& name) const {
    return tensor_info(name, manifest_, rows_, keys_);
  }
  Part reserve_input(const std::string& name) { return reserve_tensor(name, info(name).bytes()); }
  void lay_out();
  Ort::IoBinding bind() const;
  void enqueue_inputs(const RunArguments& arguments);
  void enqueue_operands(const RunArguments& arguments);
  void run_session(const Ort::IoBinding& binding, bool wait);
  void run_without_graph();
  // Runs inputs made from the salt, and waits for the outputs in out_.
  void run_trial(unsigned char salt, bool with_graph);

  const Manifest& manifest_;
  const std::shared_ptr<CudaSession> session_;
  const int device_number_;
  const GraphNoise noise_;
  const size_t keys_;  // elements of seed and of first

  // Layout of the device memory: the inputs that every run copies, from the key of the noise to the
  // main input; mu and logvar, if the graph draws the latent; the outputs.
  std::vector<Part> copied_;
  std::vector<Part> bound_;  // seed, first, mu, logvar
  size_t latent_bytes_ = 0;  // of mu and of logvar; 0 if the graph does not draw the latent
  size_t mu_ = 0;
  size_t logvar_ = 0;
  size_t copied_end_ = 0;
  Operands loaded_ = Operands::kUnknown;

  Ort::IoBinding captured_{nullptr};
  CudaGraph graph_;
};

}  // namespace zoo
