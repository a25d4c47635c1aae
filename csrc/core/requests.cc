#include "core/requests.h"

#include "base/checks.h"
#include "format/roles.h"

namespace zoo {
namespace {

// Returns the source of latents without a posterior.
LatentSource prior_source(Engine* engine, Prior prior) {
  if (engine->manifest().prior == "none") {
    throw ArgumentError("'" + engine->path() +
                        "' is an autoencoder's decoder: it has no prior to " +
                        "sample from; give mu and logvar, or decode latents");
  }
  LatentSource source;
  if (prior == Prior::kNormal) return source;
  if (engine->manifest().mixture.empty()) {
    throw ArgumentError("prior: '" + engine->path() + "' has no mixture, expected normal");
  }
  source.kind = LatentSource::Kind::kMixture;
  return source;
}

LatentSource posterior_source(Engine* engine, const SampleRequest& request) {
  if (request.prior != Prior::kNormal) {
    throw ArgumentError("prior: expected normal, because mu and logvar replace the prior");
  }
  const size_t rows = request.shared ? 1 : request.n;
  const size_t width = engine->manifest().latent_width;
  if (request.latent_memory == Memory::kHost) {
    check_finite("mu", request.mu, rows, width);
    check_finite("logvar", request.logvar, rows, width, true);
  } else if (request.shared) {
    throw ArgumentError("mu and logvar: one row for all images must be in the host's memory");
  } else if (engine->backend().noise_from() != NoiseFrom::kBackend) {
    throw ArgumentError("mu and logvar: expected memory of the host, because the graph of '" +
                        engine->path() + "' does not draw the latent");
  }
  engine->check_memory("mu", request.mu, request.latent_memory);
  engine->check_memory("logvar", request.logvar, request.latent_memory);
  LatentSource source;
  source.memory = request.latent_memory;
  source.kind = LatentSource::Kind::kPosterior;
  source.mu = request.mu;
  source.logvar = request.logvar;
  source.shared = request.shared;
  return source;
}

}  // namespace

CheckedRequest check_request(Engine* engine, const SampleRequest& request, size_t image_bytes) {
  check_range(request.n, request.first, image_bytes);
  if (!has_trait(engine->manifest(), kDrawsLatent)) {
    throw ArgumentError("'" + engine->path() + "' is a synthesis network: it decodes styles and " +
                        "has no prior to sample from");
  }
  if ((request.mu == nullptr) != (request.logvar == nullptr)) {
    throw ArgumentError("mu and logvar: expected both or neither");
  }
  CheckedRequest checked;
  checked.source =
      request.mu ? posterior_source(engine, request) : prior_source(engine, request.prior);
  GraphInputs& inputs = checked.inputs;
  inputs.seed = request.seed;
  inputs.first = request.first;
  set_keys(request.keys, &inputs);
  set_labels(*engine, request.labels, request.label_count, request.cycle, request.n, &inputs);
  set_truncation(*engine, request.truncation, &inputs);
  set_noise(*engine, request.noise, &inputs);
  return checked;
}

CheckedRequest check_request(Engine* engine, const DecodeRequest& request) {
  check_range(request.n, request.first, engine->manifest().image.bytes());
  if (request.latent_memory == Memory::kHost) {
    check_finite("latents", request.latents, request.n, engine->manifest().latent_width);
  }
  engine->check_memory("latents", request.latents, request.latent_memory);
  CheckedRequest checked;
  GraphInputs& inputs = checked.inputs;
  inputs.seed = request.seed.value_or(0);
  inputs.first = request.first;
  set_keys(request.keys, &inputs);
  if (!request.seed && !request.keys) inputs.noise = 0.0f;
  set_labels(*engine, request.labels, request.label_count, false, request.n, &inputs);
  set_truncation(*engine, request.truncation, &inputs);
  LatentSource& source = checked.source;
  source.kind = LatentSource::Kind::kLatent;
  source.mu = request.latents;
  source.memory = request.latent_memory;
  return checked;
}

}  // namespace zoo
