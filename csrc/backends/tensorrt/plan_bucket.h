// One batch size of a plan on one stream: its memory, and the CUDA graphs that are replayed.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "backends/cuda/bucket.h"
#include "backends/tensorrt/plan_engine.h"

namespace zoo {

class PlanBucket : public CudaBucket {
 public:
  // profile: index of `rows` among the plan's batch sizes. Throws OutOfMemoryError, ExecutionError.
  PlanBucket(const Manifest& manifest, PlanEngine* engine, size_t profile, size_t rows,
             const CudaStream& stream);

 private:
  // Source of the latent of the network; kNone if it has none, or if it is the main input.
  enum class Latent { kNone, kPrior, kPosterior, kInput };

  // The variants of a run, each captured as a graph.
  struct Work {
    Latent latent;
    bool upload;    // copies the operands from the host
    bool download;  // copies the outputs to the host

    bool operator<(const Work& other) const {
      return std::tie(latent, upload, download) <
             std::tie(other.latent, other.upload, other.download);
    }
  };

  // An input of the network into which a kernel draws noise.
  struct NoiseInput {
    uint32_t stream;
    size_t width;
    size_t offset;
  };

  void enqueue(const RunArguments& arguments) override;
  void lay_out_inputs();
  // Copies the inputs to in_; those in device memory are added to device_rows.
  Latent stage_inputs(const RunArguments& arguments, std::vector<DeviceRows>* device_rows);
  void enqueue_work(const Work& work);
  const CudaGraph& find_graph(const Work& work);

  const Manifest& manifest_;
  std::unique_ptr<PlanContext> context_;

  // Layout of the device memory: the inputs that every run uploads, beginning with the key of the
  // noise; the operands, which the caller may have in device memory: the main input, or mu (or the
  // latent) and logvar; the drawn noise; the outputs; scratch.
  std::vector<Part> copied_;
  std::vector<Part> operands_;
  std::vector<NoiseInput> layers_;
  bool has_key_ = false;
  size_t latent_bytes_ = 0;  // 0 if the network takes no latent
  size_t latent_ = 0;
  size_t copied_end_ = 0;
  size_t operands_end_ = 0;
  std::map<Work, CudaGraph> graphs_;
};

}  // namespace zoo
