// Generator: seeds or latents in, images out. Thread-safe; copies share the engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "zoo/export.h"
#include "zoo/manifest.h"
#include "zoo/options.h"

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
};

class ZOO_API Generator {
 public:
  // Throws what Manifest::read throws; BackendUnavailableError;
  // DeviceUnavailableError; ArgumentError for unknown options or another role.
  explicit Generator(const std::string& path, const Options& options = {});

  const Manifest& manifest() const;
  const std::string& backend() const;  // the one in use
  size_t instances() const;

  // images: caller-owned, request.n * manifest().image.bytes() bytes, row-major.
  // Without mu throws ArgumentError where the manifest's prior is "none".
  void sample(const SampleRequest& request, void* images, const Cancel& cancel = {}) const;

  // The prior's images for uint8 engines: n x H x W x C bytes.
  std::vector<uint8_t> sample(uint64_t n, uint64_t seed = 0, uint64_t first = 0) const;

  // latents: [n, latent_width], finite.
  void decode(const float* latents, size_t n, void* images, const Cancel& cancel = {}) const;

  // a, b: [rows, latent_width]; images: [rows, steps + 1, image], where image i
  // decodes h_i = a + (b - a) * i / steps, or the point on the great arc.
  void interpolate(const float* a, const float* b, size_t rows, size_t steps, bool spherical,
                   void* images, const Cancel& cancel = {}) const;

  // The same images in order, batch at a time (0: 64), computed ahead by at most
  // prefetch batches (0: two per instance). Memory is bounded by that. Throws as sample.
  Stream stream(uint64_t n, uint64_t seed = 0, uint64_t first = 0, size_t batch = 0,
                size_t prefetch = 0) const;

 private:
  std::shared_ptr<Engine> engine_;
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

  // The next batch, or false at the end. Throws ClosedError after close().
  bool next(Batch* batch, const Cancel& cancel = {});

  // Abandons what is computed ahead. Idempotent, callable from any thread.
  void close();

 private:
  friend class Generator;
  struct State;
  explicit Stream(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace zoo
