#include "c/engine.h"
#include "c/status.h"

namespace zoo::c {
namespace {

constexpr const char* kGenerator = "a generator";

const Generator& generator_of(const zoo_engine* engine) {
  return engine_as<Generator>(engine, kGenerator);
}

float value_or_one(const float* value) { return value ? *value : 1.0f; }

Prior prior_of(int32_t number) {
  if (number == ZOO_PRIOR_NORMAL) return Prior::kNormal;
  if (number == ZOO_PRIOR_MIXTURE) return Prior::kMixture;
  throw ArgumentError("prior: expected ZOO_PRIOR_NORMAL (0) or ZOO_PRIOR_MIXTURE (1), got " +
                      std::to_string(number));
}

DecodeRequest decode_request(const zoo_decode_request& from) {
  require("latents", from.latents);
  DecodeRequest request;
  request.latents = from.latents;
  request.n = from.n;
  request.latent_memory = memory_of("latent_memory", from.latent_memory);
  request.image_memory = memory_of("image_memory", from.image_memory);
  if (from.seed) request.seed = *from.seed;
  request.first = from.first;
  request.labels = from.labels;
  request.label_count = from.label_count;
  request.truncation = value_or_one(from.truncation);
  request.keys = keys_of(from.keys);
  return request;
}

InterpolateRequest interpolate_request(const zoo_interpolate_request& from) {
  require("a", from.a);
  require("b", from.b);
  InterpolateRequest request;
  request.a = from.a;
  request.b = from.b;
  request.rows = from.rows;
  request.steps = from.steps;
  request.spherical = from.spherical != 0;
  request.image_memory = memory_of("image_memory", from.image_memory);
  request.labels = from.labels;
  request.label_count = from.label_count;
  request.truncation = value_or_one(from.truncation);
  return request;
}

}  // namespace

SampleRequest sample_request(const zoo_sample_request& from) {
  check_reserved(from.reserved);
  SampleRequest request;
  request.n = from.n;
  request.seed = from.seed;
  request.first = from.first;
  request.batch = from.batch;
  request.prior = prior_of(from.prior);
  request.mu = from.mu;
  request.logvar = from.logvar;
  request.shared = from.shared != 0;
  request.latent_memory = memory_of("latent_memory", from.latent_memory);
  request.image_memory = memory_of("image_memory", from.image_memory);
  request.labels = from.labels;
  request.label_count = from.label_count;
  request.cycle = from.cycle != 0;
  request.truncation = value_or_one(from.truncation);
  request.noise = value_or_one(from.noise);
  request.keys = keys_of(from.keys);
  return request;
}

}  // namespace zoo::c

using zoo::c::cancel_of;
using zoo::c::check_output;
using zoo::c::guarded;
using zoo::c::read_struct;

zoo_status zoo_sample(const zoo_engine* engine, const zoo_sample_request* request, void* images,
                      size_t bytes) {
  return guarded([&] {
    const zoo::Generator& generator = zoo::c::generator_of(engine);
    const zoo_sample_request from = read_struct("request", request);
    const zoo::SampleRequest native = zoo::c::sample_request(from);
    check_output("images", images, bytes, native.n, generator.manifest().image.bytes());
    generator.sample(native, images, cancel_of(from.cancel, from.cancel_context));
  });
}

zoo_status zoo_decode(const zoo_engine* engine, const zoo_decode_request* request, void* images,
                      size_t bytes) {
  return guarded([&] {
    const zoo::Generator& generator = zoo::c::generator_of(engine);
    const zoo_decode_request from = read_struct("request", request);
    const zoo::DecodeRequest native = zoo::c::decode_request(from);
    check_output("images", images, bytes, native.n, generator.manifest().image.bytes());
    generator.decode(native, images, cancel_of(from.cancel, from.cancel_context));
  });
}

zoo_status zoo_interpolate(const zoo_engine* engine, const zoo_interpolate_request* request,
                           void* images, size_t bytes) {
  return guarded([&] {
    const zoo::Generator& generator = zoo::c::generator_of(engine);
    const zoo_interpolate_request from = read_struct("request", request);
    const zoo::InterpolateRequest native = zoo::c::interpolate_request(from);
    // Numbers that overflow are refused by the generator.
    size_t row = 0;
    const bool fits =
        native.steps != SIZE_MAX &&
        !__builtin_mul_overflow(native.steps + 1, generator.manifest().image.bytes(), &row);
    if (fits) check_output("images", images, bytes, native.rows, row);
    generator.interpolate(native, images, cancel_of(from.cancel, from.cancel_context));
  });
}
