// Runs the graphs of generators: rows of latents, given or drawn, to rows of images.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/engine.h"
#include "core/inputs.h"

namespace zoo {

// Source of the latents of a call.
struct LatentSource {
  enum class Kind { kPrior, kMixture, kPosterior, kLatent };
  Kind kind = Kind::kPrior;
  const float* mu = nullptr;      // kPosterior: means; kLatent: the latents
  const float* logvar = nullptr;  // kPosterior
  bool shared = false;            // kPosterior: one row for all images
  Memory memory = Memory::kHost;  // of mu and logvar; kHost if shared
};

// Destination of the images.
struct Images {
  void* data;
  Memory memory = Memory::kHost;
};

// Computes rows offset … offset + count - 1 of the call in one run of the graph of `batch` rows;
// count <= batch. `images` points to the first of these rows.
void run_rows(Engine* engine, size_t instance, const LatentSource& source,
              const GraphInputs& inputs, uint64_t offset, size_t count, size_t batch,
              const Images& images, Team* team = nullptr);

// Creates a job that generates n images in chunks of at most `batch` rows, as returned by
// Engine::prepare. The memory behind source, inputs and images must outlive the job.
std::shared_ptr<Job> generate_job(Engine* engine, const LatentSource& source,
                                  const GraphInputs& inputs, uint64_t n, size_t batch,
                                  const Images& images);

}  // namespace zoo
