// From rows of latents, given or drawn, to rows of images: what every call of a
// generator comes down to.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/engine.h"
#include "core/inputs.h"

namespace zoo {

// Where the latent of row r of a call comes from.
struct LatentSource {
  enum class Kind { kPrior, kPosterior, kGiven };
  Kind kind = Kind::kPrior;
  const float* mu = nullptr;      // kPosterior: means; kGiven: the latents
  const float* logvar = nullptr;  // kPosterior
  bool shared = false;            // kPosterior: one row for all
  Memory memory = Memory::kHost;  // of mu and logvar; where they are shared, the host's
};

// Where images go.
struct Images {
  void* data;
  Memory memory = Memory::kHost;
};

// Rows offset … offset + count - 1 of the call into images (their own first row),
// by one run of the graph of `batch` rows, count <= batch.
void run_rows(Engine* engine, size_t instance, const LatentSource& source,
              const GraphInputs& inputs, uint64_t offset, size_t count, size_t batch,
              const Images& images);

// A job that makes n images, cut into chunks of at most batch rows, which Engine::prepare
// has given. The memory behind source, inputs and images must live as long as the job.
std::shared_ptr<Job> generate_job(Engine* engine, const LatentSource& source,
                                  const GraphInputs& inputs, uint64_t n, size_t batch,
                                  const Images& images);

}  // namespace zoo
