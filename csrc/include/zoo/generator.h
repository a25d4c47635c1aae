// Generator: seeds or latents in, images out. Thread-safe; copies share the engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "zoo/loaded_engine.h"

namespace zoo {

class Batcher;
class Engine;
class Stream;

// Distribution of the latents: N(0, I), or the learned prior of the engine (Manifest::mixture).
enum class Prior { kNormal, kMixture };

// Images first … first + n - 1 of the run with this seed. Image i does not depend on n, first,
// batch, or the number of instances and threads.
struct SampleRequest {
  uint64_t n = 1;
  uint64_t seed = 0;
  uint64_t first = 0;
  size_t batch = 0;  // most rows of one run of the graph; 0: chosen by the runtime

  Prior prior = Prior::kNormal;

  // Sample from a posterior instead of the prior: h = mu + exp(logvar / 2) * eps. Both null, or
  // both [n, latent_width], or [1, latent_width] for all images if shared.
  const float* mu = nullptr;
  const float* logvar = nullptr;
  bool shared = false;
  Memory latent_memory = Memory::kHost;  // of mu and logvar; kHost if shared
  Memory image_memory = Memory::kHost;

  // Conditional generators: the class of each image, 0 … manifest().condition_classes - 1. Row r
  // has labels[r] (label_count is n) or labels[0] (label_count is 1); with cycle, image i of the
  // run has labels[i mod label_count]. If null, image i has the class i mod condition_classes.
  const int64_t* labels = nullptr;
  size_t label_count = 0;
  bool cycle = false;

  // Style-based generators: styles are w̄ + truncation * (w - w̄), and the noise of the layers is
  // multiplied by `noise`. Finite and at least 0; must be 1 for other generators.
  float truncation = 1.0f;
  float noise = 1.0f;

  // n keys in place of seed and first, which must then be 0: image r is image keys[r].index of the
  // run with the seed keys[r].seed. So requests of several callers can be one.
  const SampleKey* keys = nullptr;
};

// Images of latents [n, latent_width], which must be finite. Row r is image first + r of the run.
struct DecodeRequest {
  const float* latents = nullptr;
  size_t n = 1;
  Memory latent_memory = Memory::kHost;
  Memory image_memory = Memory::kHost;

  // With a seed, the layers of a style-based generator draw the noise of image first + r of the
  // run with that seed. Without one they draw none, and an image depends only on its latent.
  std::optional<uint64_t> seed;
  uint64_t first = 0;

  const int64_t* labels = nullptr;  // as in SampleRequest, without cycle
  size_t label_count = 0;
  float truncation = 1.0f;

  const SampleKey* keys = nullptr;  // n of them, in place of seed and first
};

// Images along the paths from latents a to b, [rows, latent_width], both ends included.
struct InterpolateRequest {
  const float* a = nullptr;
  const float* b = nullptr;
  size_t rows = 1;
  size_t steps = 1;
  bool spherical = false;
  Memory image_memory = Memory::kHost;

  // The class of each row: `rows` of them, or one for all. If null, row r has the class
  // r mod condition_classes.
  const int64_t* labels = nullptr;
  size_t label_count = 0;
  float truncation = 1.0f;
};

class ZOO_API Generator : public LoadedEngine {
 public:
  // Loads an engine file with the role "generator", or "synthesis", which can only decode styles.
  // Throws as described for LoadedEngine.
  explicit Generator(const std::string& path, const Options& options = {});

  // images: caller-owned, request.n * manifest().image.bytes() bytes, row-major, complete when the
  // call returns. Throws ArgumentError for an invalid request, for labels, truncation or noise that
  // the engine does not support, for Prior::kMixture if it has no learned prior or with mu, and
  // without mu if the manifest's prior is "none"; ExecutionError; OutOfMemoryError; CancelledError.
  void sample(const SampleRequest& request, void* images, const Cancel& cancel = {}) const;

  // Returns n images [n, H, W, C] from the prior. For engines with uint8 images.
  std::vector<uint8_t> sample(uint64_t n, uint64_t seed = 0, uint64_t first = 0) const;

  void decode(const DecodeRequest& request, void* images, const Cancel& cancel = {}) const;

  // Decodes latents [n, latent_width] without noise and truncation.
  void decode(const float* latents, size_t n, void* images, const Cancel& cancel = {}) const;

  // images: [rows, steps + 1] images. Image i decodes h_i = a + (b - a) * i / steps or, if
  // spherical, the point on the great arc, without noise in the layers.
  void interpolate(const InterpolateRequest& request, void* images,
                   const Cancel& cancel = {}) const;
  void interpolate(const float* a, const float* b, size_t rows, size_t steps, bool spherical,
                   void* images, const Cancel& cancel = {}) const;

  // Streams the images of sample(request) in order, request.batch at a time (0: 64). At most
  // `prefetch` batches (0: two per instance) are computed ahead, which bounds the memory. Labels
  // are copied. Throws as sample; ArgumentError for a request with mu or device memory.
  Stream stream(const SampleRequest& request, size_t prefetch = 0) const;
  Stream stream(uint64_t n, uint64_t seed = 0, uint64_t first = 0, size_t batch = 0,
                size_t prefetch = 0) const;

 private:
  friend class Batcher;
};

class ZOO_API Stream {
 public:
  struct Batch {
    uint64_t first = 0;  // index of row 0 in the run
    size_t rows = 0;
    std::unique_ptr<unsigned char[]> images;  // rows * image bytes
  };

  Stream(Stream&&) noexcept;
  Stream& operator=(Stream&&) noexcept;
  ~Stream();

  // Waits for the next batch; returns false at the end. Throws ClosedError after close(), even if
  // it was waiting already. If cancel returns true or throws, or if the batch fails, nothing is
  // lost: the next call returns that batch. A forked child continues after the last batch that its
  // parent returned before the fork.
  bool next(Batch* batch, const Cancel& cancel = {});

  // Abandons the batches computed ahead. Idempotent; may be called by any thread and by cancel.
  void close();

 private:
  friend class Generator;
  struct State;
  explicit Stream(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace zoo
