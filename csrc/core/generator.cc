#include "zoo/generator.h"

#include <algorithm>

#include "base/checks.h"
#include "core/inputs.h"
#include "core/requests.h"
#include "core/stream_state.h"
#include "ops/batched_interpolate.h"

namespace zoo {
namespace {

constexpr size_t kDefaultStreamBatch = 64;

}  // namespace

Generator::Generator(const std::string& path, const Options& options)
    : LoadedEngine(path, options, {"generator", "synthesis"}) {}

void Generator::sample(const SampleRequest& request, void* images, const Cancel& cancel) const {
  engine().check_memory("images", images, request.image_memory);
  const auto [source, inputs] = check_request(&engine(), request, manifest().image.bytes());
  const size_t rows = engine().prepare(request.n, request.batch);
  const Images out{images, request.image_memory};
  engine().pool().run(generate_job(&engine(), source, inputs, request.n, rows, out), cancel);
}

std::vector<uint8_t> Generator::sample(uint64_t n, uint64_t seed, uint64_t first) const {
  if (manifest().image.type != ImageType::kUint8) {
    throw ArgumentError("this engine generates float images: use sample(request, images)");
  }
  const SampleRequest request{n, seed, first};
  check_request(&engine(), request, manifest().image.bytes());
  std::vector<uint8_t> images(n * manifest().image.bytes());
  sample(request, images.data());
  return images;
}

void Generator::decode(const DecodeRequest& request, void* images, const Cancel& cancel) const {
  engine().check_memory("images", images, request.image_memory);
  const auto [source, inputs] = check_request(&engine(), request);
  const size_t rows = engine().prepare(request.n, 0);
  const Images out{images, request.image_memory};
  engine().pool().run(generate_job(&engine(), source, inputs, request.n, rows, out), cancel);
}

void Generator::decode(const float* latents, size_t n, void* images, const Cancel& cancel) const {
  DecodeRequest request;
  request.latents = latents;
  request.n = n;
  decode(request, images, cancel);
}

void Generator::interpolate(const InterpolateRequest& request, void* images,
                            const Cancel& cancel) const {
  check_count(request.rows, "rows");
  check_count(request.steps, "steps");
  const size_t width = manifest().latent_width;
  check_finite("a", request.a, request.rows, width);
  check_finite("b", request.b, request.rows, width);
  size_t count = 0;
  size_t bytes = 0;
  if (request.steps == SIZE_MAX ||
      __builtin_mul_overflow(request.rows, request.steps + 1, &count) ||
      __builtin_mul_overflow(count, width * sizeof(float), &bytes)) {
    throw ArgumentError("steps: " + std::to_string(request.steps) + " steps of " +
                        std::to_string(request.rows) + " rows do not fit in memory");
  }
  check_range(count, 0, manifest().image.bytes());
  std::vector<float> t(request.steps + 1);
  for (size_t i = 0; i < t.size(); ++i) {
    t[i] = static_cast<float>(static_cast<double>(i) / static_cast<double>(request.steps));
  }
  std::vector<float> latents(count * width);
  batched_interpolate(request.a, request.b, t.data(),
                      request.spherical ? Interpolation::kSpherical : Interpolation::kLinear,
                      request.rows, t.size(), width, latents.data());
  // The difference of two finite values of opposite signs may overflow.
  check_finite("a and b", latents.data(), count, width);

  GraphInputs row_inputs;
  set_labels(engine(), request.labels, request.label_count, false, request.rows, &row_inputs);
  std::vector<int64_t> labels;
  if (manifest().condition_classes != 0) {
    for (size_t i = 0; i < count; ++i) {
      const size_t row = i / t.size();
      labels.push_back(request.labels ? request.labels[row % request.label_count]
                                      : static_cast<int64_t>(row % manifest().condition_classes));
    }
  }
  DecodeRequest points;
  points.latents = latents.data();
  points.n = count;
  points.labels = labels.empty() ? nullptr : labels.data();
  points.label_count = labels.size();
  points.truncation = request.truncation;
  points.image_memory = request.image_memory;
  decode(points, images, cancel);
}

void Generator::interpolate(const float* a, const float* b, size_t rows, size_t steps,
                            bool spherical, void* images, const Cancel& cancel) const {
  interpolate(InterpolateRequest{a, b, rows, steps, spherical}, images, cancel);
}

Stream Generator::stream(uint64_t n, uint64_t seed, uint64_t first, size_t batch,
                         size_t prefetch) const {
  return stream(SampleRequest{n, seed, first, batch}, prefetch);
}

Stream Generator::stream(const SampleRequest& request, size_t prefetch) const {
  if (request.mu || request.logvar) {
    throw ArgumentError("mu and logvar: expected null, because a stream samples from the prior");
  }
  if (request.keys) throw ArgumentError("keys: expected none for a stream");
  if (request.image_memory != Memory::kHost) {
    throw ArgumentError("image_memory: expected kHost for a stream, got kDevice");
  }
  // The images need not fit in memory: only a few batches are held at a time.
  const auto [source, inputs] = check_request(&engine(), request, /*image_bytes=*/1);
  SampleRequest batched = request;
  if (batched.batch == 0) {
    batched.batch = std::min<size_t>(kDefaultStreamBatch, manifest().batch_max);
  }
  return Stream(std::make_shared<Stream::State>(shared_engine(), batched, source, inputs,
                                                prefetch ? prefetch : 2 * engine().instances()));
}

}  // namespace zoo
