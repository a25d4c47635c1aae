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

class Engine;
class Stream;

// Which images: numbers first … first + n - 1 of the run with this seed. Image i
// is the same for every n, first, batch, instance count and thread.
struct SampleRequest {
  uint64_t n = 1;
  uint64_t seed = 0;
  uint64_t first = 0;
  size_t batch = 0;  // most rows of one run of the graph; 0: chosen by the runtime

  // Posterior instead of prior: h = mu + exp(logvar / 2) * eps. Both null, or both
  // rows of latent_width floats: n rows, or one row for all when shared is true.
  const float* mu = nullptr;
  const float* logvar = nullptr;
  bool shared = false;
  Memory latent_memory = Memory::kHost;  // of mu and logvar; kHost where they are shared
  Memory image_memory = Memory::kHost;

  // Conditional generators: the class of each image, 0 … manifest().condition_classes - 1. Row r
  // has labels[r] (label_count is n), or labels[0] where label_count is 1; with cycle, image i of
  // the run has labels[i mod label_count]. Null: image i has the class i mod condition_classes.
  const int64_t* labels = nullptr;
  size_t label_count = 0;
  bool cycle = false;

  // Style-based generators: styles are w̄ + truncation * (w - w̄), and the layers' noise, that of
  // image i of the run, is multiplied by `noise`. Finite, at least 0; others take 1 only.
  float truncation = 1.0f;
  float noise = 1.0f;
};

// Images of latents [n, latent_width], finite. Row r stands for image first + r.
struct DecodeRequest {
  const float* latents = nullptr;
  size_t n = 1;
  Memory latent_memory = Memory::kHost;
  Memory image_memory = Memory::kHost;

  // With a seed, the layers of a style-based generator draw the noise of image first + r of the
  // run with that seed; without, none, and an image is a function of its latent alone.
  std::optional<uint64_t> seed;
  uint64_t first = 0;

  const int64_t* labels = nullptr;  // as of SampleRequest, without cycle
  size_t label_count = 0;
  float truncation = 1.0f;
};

// Images along the ways from latents a to b, [rows, latent_width], both ends included.
struct InterpolateRequest {
  const float* a = nullptr;
  const float* b = nullptr;
  size_t rows = 1;
  size_t steps = 1;
  bool spherical = false;
  Memory image_memory = Memory::kHost;

  // The class of each way: `rows` of them, or one; null: way r has the class r mod
  // condition_classes.
  const int64_t* labels = nullptr;
  size_t label_count = 0;
  float truncation = 1.0f;
};

class ZOO_API Generator : public LoadedEngine {
 public:
  // Throws what Manifest::read throws; BackendUnavailableError;
  // DeviceUnavailableError; ArgumentError for unknown options, or a role other than
  // "generator" and "synthesis" (which decodes styles only).
  explicit Generator(const std::string& path, const Options& options = {});

  // images: caller-owned, request.n * manifest().image.bytes() bytes, row-major, finished when the
  // call returns. Throws ArgumentError without mu where the manifest's prior is "none", and for
  // labels, truncation or noise that the engine has not.
  void sample(const SampleRequest& request, void* images, const Cancel& cancel = {}) const;

  // The prior's images for uint8 engines: n x H x W x C bytes.
  std::vector<uint8_t> sample(uint64_t n, uint64_t seed = 0, uint64_t first = 0) const;

  void decode(const DecodeRequest& request, void* images, const Cancel& cancel = {}) const;

  // latents: [n, latent_width], finite; no seed, no truncation.
  void decode(const float* latents, size_t n, void* images, const Cancel& cancel = {}) const;

  // images: [rows, steps + 1, image], where image i decodes h_i = a + (b - a) * i / steps, or
  // the point on the great arc, without noise in the layers.
  void interpolate(const InterpolateRequest& request, void* images,
                   const Cancel& cancel = {}) const;
  void interpolate(const float* a, const float* b, size_t rows, size_t steps, bool spherical,
                   void* images, const Cancel& cancel = {}) const;

  // The same images in order, batch at a time (0: 64), computed ahead by at most
  // prefetch batches (0: two per instance). Memory is bounded by that. Throws as sample.
  Stream stream(uint64_t n, uint64_t seed = 0, uint64_t first = 0, size_t batch = 0,
                size_t prefetch = 0) const;

  // The images of sample(request), request.batch at a time (0: 64). The request's labels are
  // copied. Throws ArgumentError for one with mu.
  Stream stream(const SampleRequest& request, size_t prefetch = 0) const;
};

class ZOO_API Stream {
 public:
  struct Batch {
    uint64_t first = 0;  // index in the run of row 0
    size_t rows = 0;
    std::unique_ptr<unsigned char[]> images;  // rows * image bytes
  };

  Stream(Stream&&) noexcept;
  Stream& operator=(Stream&&) noexcept;
  ~Stream();

  // The next batch, or false at the end. Throws ClosedError after close(), also where it was
  // waiting. Where cancel returns true or throws, and where making the batch fails, nothing is
  // lost: the next call hands out that batch. In a forked child, the batch after the last one
  // handed out before.
  bool next(Batch* batch, const Cancel& cancel = {});

  // Abandons what is computed ahead. Idempotent, callable from any thread, and by cancel.
  void close();

 private:
  friend class Generator;
  struct State;
  explicit Stream(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace zoo
