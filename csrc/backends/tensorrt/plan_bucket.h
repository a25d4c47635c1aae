// One batch size of a plan on one stream: its memory, and the graphs that are replayed.
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
  // Where the latent of the network comes from; kNone: it has none, or one as rows that go in.
  enum class Latent { kNone, kPrior, kPosterior, kGiven };

  // What is put into the stream, and kept as a graph.
  struct Work {
    Latent latent;
    bool up;    // the operands are copied from the host
    bool down;  // the outputs are copied to the host

    bool operator<(const Work& other) const {
      return std::tie(latent, up, down) < std::tie(other.latent, other.up, other.down);
    }
  };

  // Noise that a kernel draws into an input of the network.
  struct Drawn {
    uint32_t stream;
    size_t width;
    size_t offset;
  };

  void enqueue(const RunArguments& arguments) override;
  void lay_out_inputs();
  Latent fill(const RunArguments& arguments, std::vector<DeviceRows>* given);
  void put_work(const Work& work);
  const CudaGraph& graph(const Work& work);

  const Manifest& manifest_;
  std::unique_ptr<PlanContext> context_;

  // The device's memory: what every run copies there, the key of the noise first; the operands,
  // which may be in the device's memory already: the rows that go in, or mu (or a given latent) and
  // logvar; what is drawn; the outputs; scratch.
  std::vector<Part> copied_;
  std::vector<Part> operands_;
  std::vector<Drawn> layers_;
  bool has_key_ = false;
  size_t latent_bytes_ = 0;  // of a generator's or a synthesis network's; 0 without one
  size_t latent_ = 0;
  size_t copied_end_ = 0;
  size_t operands_end_ = 0;
  std::map<Work, CudaGraph> graphs_;
};

}  // namespace zoo
