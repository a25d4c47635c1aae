#include "zoo/generator.h"

#include <algorithm>

#include "core/checks.h"
#include "core/row_runner.h"
#include "core/stream_state.h"
#include "ops/batched_interpolate.h"

namespace zoo {
namespace {

// Images that a stream hands out at a time when the caller leaves it open.
constexpr size_t kStreamBatch = 64;

LatentSource source_of(const SampleRequest& request) {
  LatentSource source;
  source.seed = request.seed;
  source.first = request.first;
  if (request.mu) {
    source.kind = LatentSource::Kind::kPosterior;
    source.mu = request.mu;
    source.logvar = request.logvar;
    source.shared = request.shared;
  }
  return source;
}

void check_prior(const Engine& engine) {
  if (engine.manifest().prior != "none") return;
  throw ArgumentError("'" + engine.path() + "' is an autoencoder's decoder: it has no prior to " +
                      "sample from; give mu and logvar, or decode latents");
}

}  // namespace

Generator::Generator(const std::string& path, const Options& options)
    : engine_(std::make_shared<Engine>(path, options, "generator")) {}

const Manifest& Generator::manifest() const { return engine_->manifest(); }
const std::string& Generator::backend() const { return engine_->backend_name(); }
size_t Generator::instances() const { return engine_->instances(); }

void Generator::sample(const SampleRequest& request, void* images, const Cancel& cancel) const {
  check_range(request.n, request.first, manifest().image.bytes());
  if ((request.mu == nullptr) != (request.logvar == nullptr)) {
    throw ArgumentError("mu and logvar: expected both or neither");
  }
  if (!request.mu) {
    check_prior(*engine_);
  } else {
    const size_t rows = request.shared ? 1 : request.n;
    check_finite("mu", request.mu, rows, manifest().latent_width);
    check_finite("logvar", request.logvar, rows, manifest().latent_width, true);
  }
  const size_t rows = engine_->run_size(request.n, request.batch);
  engine_->pool().run(generate_job(engine_.get(), source_of(request), request.n, rows, images),
                      cancel);
}

std::vector<uint8_t> Generator::sample(uint64_t n, uint64_t seed, uint64_t first) const {
  if (manifest().image.type != ImageType::kUint8) {
    throw ArgumentError("this engine makes float images: use sample(request, images)");
  }
  SampleRequest request;
  request.n = n;
  request.seed = seed;
  request.first = first;
  check_range(n, first, manifest().image.bytes());
  check_prior(*engine_);
  std::vector<uint8_t> images(n * manifest().image.bytes());
  sample(request, images.data());
  return images;
}

void Generator::decode(const float* latents, size_t n, void* images, const Cancel& cancel) const {
  check_range(n, 0, manifest().image.bytes());
  check_finite("latents", latents, n, manifest().latent_width);
  LatentSource source;
  source.kind = LatentSource::Kind::kGiven;
  source.mu = latents;
  const size_t rows = engine_->run_size(n, 0);
  engine_->pool().run(generate_job(engine_.get(), source, n, rows, images), cancel);
}

void Generator::interpolate(const float* a, const float* b, size_t rows, size_t steps,
                            bool spherical, void* images, const Cancel& cancel) const {
  check_count(rows, "rows");
  check_count(steps, "steps");
  const size_t width = manifest().latent_width;
  check_finite("a", a, rows, width);
  check_finite("b", b, rows, width);
  std::vector<float> t(steps + 1);
  for (size_t i = 0; i <= steps; ++i) {
    t[i] = static_cast<float>(static_cast<double>(i) / static_cast<double>(steps));
  }
  std::vector<float> latents(rows * t.size() * width);
  batched_interpolate(a, b, t.data(),
                      spherical ? Interpolation::kSpherical : Interpolation::kLinear, rows,
                      t.size(), width, latents.data());
  decode(latents.data(), rows * t.size(), images, cancel);
}

Stream Generator::stream(uint64_t n, uint64_t seed, uint64_t first, size_t batch,
                         size_t prefetch) const {
  check_range(n, first, /*image_bytes=*/1);  // only some batches are in memory
  check_prior(*engine_);
  SampleRequest request;
  request.n = n;
  request.seed = seed;
  request.first = first;
  request.batch = batch ? batch : std::min<size_t>(kStreamBatch, manifest().batch_max);
  return Stream(std::make_shared<Stream::State>(engine_, request,
                                                prefetch ? prefetch : 2 * engine_->instances()));
}

}  // namespace zoo
