#include "core/row_runner.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/thread_memory.h"
#include "core/mixture.h"
#include "core/run_job.h"
#include "format/tensors.h"
#include "ops/reparametrized_sample.h"

namespace zoo {
namespace {

struct Scratch {
  std::vector<float> mixture;
  std::vector<float> mu;
  std::vector<float> logvar;
  std::vector<float> latent;
  std::vector<unsigned char> images;
};

Scratch& scratch() { return thread_memory<Scratch>(); }

// Returns the rows of an operand in place, or gathered into `copy` if one row is shared by all or
// the run has more rows than the call.
float* gather_rows(const float* operand, bool shared, uint64_t offset, size_t count, size_t rows,
                   size_t width, std::vector<float>* copy) {
  if (!shared && rows == count) return const_cast<float*>(operand) + offset * width;
  copy->resize(rows * width);
  for (size_t row = 0; row < rows; ++row) {
    // Padding repeats the last row; any finite value would do.
    const size_t from = shared ? 0 : offset + std::min(row, count - 1);
    std::memcpy(copy->data() + row * width, operand + from * width, width * sizeof(float));
  }
  return copy->data();
}

float* fill_rows(float value, size_t size, std::vector<float>* buffer) {
  buffer->assign(size, value);
  return buffer->data();
}

// Binds mu and logvar of the noise operator in the graph.
void bind_operands(const LatentSource& source, uint64_t offset, size_t count, size_t rows,
                   size_t width, RunArguments* arguments) {
  using Kind = LatentSource::Kind;
  Scratch& s = scratch();
  const size_t size = rows * width;
  float* mu = source.kind == Kind::kPrior
                  ? fill_rows(0.0f, size, &s.mu)
                  : gather_rows(source.mu, source.shared, offset, count, rows, width, &s.mu);
  float* logvar = nullptr;
  if (source.kind == Kind::kPosterior) {
    logvar = gather_rows(source.logvar, source.shared, offset, count, rows, width, &s.logvar);
  } else {
    // A log-variance of -infinity passes mu through unchanged.
    const float value =
        source.kind == Kind::kLatent ? -std::numeric_limits<float>::infinity() : 0.0f;
    logvar = fill_rows(value, size, &s.logvar);
  }
  arguments->inputs = {{io::kMu, mu}, {io::kLogvar, logvar}};
}

// Binds the operands of a backend that draws the latent itself and copies its inputs.
void bind_source(const LatentSource& source, uint64_t offset, size_t count, size_t width,
                 RunArguments* arguments) {
  using Kind = LatentSource::Kind;
  Scratch& s = scratch();
  arguments->inputs.clear();
  if (source.kind == Kind::kPrior) return;
  const auto bind = [&](const char* name, const float* operand, std::vector<float>* copy) {
    float* rows = gather_rows(operand, source.shared, offset, count, count, width, copy);
    arguments->inputs.push_back({name, rows, source.memory});
  };
  if (source.kind == Kind::kLatent) {
    bind(io::kLatent, source.mu, &s.mu);
  } else {
    bind(io::kMu, source.mu, &s.mu);
    bind(io::kLogvar, source.logvar, &s.logvar);
  }
}

// Draws the latents of the call's rows from `offset` on, if row `from` of the source does not give
// them, and binds them. The rows of padding are zeros.
void bind_latent(const Manifest& manifest, const LatentSource& source, uint64_t from,
                 const GraphInputs& inputs, uint64_t offset, size_t count, size_t rows,
                 RunArguments* arguments) {
  using Kind = LatentSource::Kind;
  Scratch& s = scratch();
  const size_t width = manifest.latent_width;
  float* latent = nullptr;
  if (source.memory == Memory::kDevice) {
    latent = const_cast<float*>(source.mu) + from * width;
  } else if (source.kind == Kind::kLatent) {
    latent = gather_rows(source.mu, false, from, count, rows, width, &s.latent);
  } else {
    const bool posterior = source.kind == Kind::kPosterior;
    const float *mu = nullptr, *logvar = nullptr;
    if (posterior) {
      mu = gather_rows(source.mu, source.shared, from, count, count, width, &s.mu);
      logvar = gather_rows(source.logvar, source.shared, from, count, count, width, &s.logvar);
    }
    s.latent.resize(rows * width);
    latent = s.latent.data();
    std::fill(latent + count * width, latent + rows * width, 0.0f);
    for_each_series(inputs, offset, count, [&](size_t begin, size_t series, SampleKey sample) {
      const NoiseKey key{sample.seed, sample.index, manifest.latent_stream};
      const size_t at = begin * width;
      if (posterior) {
        reparametrized_sample(mu + at, logvar + at, key, series, width, latent + at);
      } else {
        fill_normal(key, series, width, latent + at);
      }
    });
  }
  arguments->inputs = {{input_name(manifest), latent, source.memory}};
}

// Binds the latents of the call's rows `offset` … `offset` + count - 1. Row `from` of the source is
// the first of them.
void bind_latents(const Manifest& manifest, NoiseFrom noise_from, const LatentSource& source,
                  uint64_t from, const GraphInputs& inputs, uint64_t offset, size_t count,
                  RunArguments* arguments) {
  if (noise_from == NoiseFrom::kGraph) {
    bind_operands(source, from, count, arguments->rows, manifest.latent_width, arguments);
  } else if (noise_from == NoiseFrom::kBackend) {
    bind_source(source, from, count, manifest.latent_width, arguments);
  } else {
    bind_latent(manifest, source, from, inputs, offset, count, arguments->rows, arguments);
  }
}

}  // namespace

void run_rows(Engine* engine, size_t instance, const LatentSource& source,
              const GraphInputs& inputs, uint64_t offset, size_t count, size_t batch,
              const Images& images, Team* team) {
  const Manifest& manifest = engine->manifest();
  Backend& backend = engine->backend();
  const size_t bytes = manifest.image.bytes();
  if (inputs.keys && needs_series(backend)) {
    for_each_series(inputs, offset, count, [&](size_t begin, size_t series, SampleKey key) {
      const uint64_t row = offset + begin;
      run_rows(engine, instance, source, inputs_of_series(inputs, row, key), row, series, batch,
               {static_cast<unsigned char*>(images.data) + begin * bytes, images.memory}, team);
    });
    return;
  }
  RunArguments arguments;
  arguments.rows = backend.fixed_batch() ? batch : count;
  arguments.count = count;
  arguments.team = team;
  // Synthesis networks draw noise only for their layers.
  const NoiseFrom from =
      has_trait(manifest, kDrawsLatent) ? backend.noise_from() : NoiseFrom::kCaller;
  if (source.kind == LatentSource::Kind::kMixture) {
    // The same latents for all backends.
    std::vector<float>& latents = scratch().mixture;
    latents.resize(count * manifest.latent_width);
    for_each_series(inputs, offset, count, [&](size_t begin, size_t series, SampleKey key) {
      sample_mixture(manifest, key.seed, key.index, series,
                     latents.data() + begin * manifest.latent_width);
    });
    LatentSource given;
    given.kind = LatentSource::Kind::kLatent;
    given.mu = latents.data();
    bind_latents(manifest, from, given, 0, inputs, offset, count, &arguments);
  } else {
    bind_latents(manifest, from, source, offset, inputs, offset, count, &arguments);
  }
  bind_inputs(manifest, backend, inputs, offset, count, arguments.rows, &arguments);
  void* target = images.data;
  if (arguments.rows != count && !backend.copies()) {
    scratch().images.resize(arguments.rows * bytes);
    target = scratch().images.data();
  }
  arguments.outputs = {{io::kImage, target, images.memory}};
  backend.run(instance, arguments);
  if (target != images.data) std::memcpy(images.data, target, count * bytes);
}

std::shared_ptr<Job> generate_job(Engine* engine, const LatentSource& source,
                                  const GraphInputs& inputs, uint64_t n, size_t batch,
                                  const Images& images) {
  // Repeated here because the backend of a forked child is not prepared yet.
  if (engine->backend().fixed_batch()) engine->backend().prepare(batch);
  const auto chunks = static_cast<size_t>((n + batch - 1) / batch);
  const size_t bytes = engine->manifest().image.bytes();
  const auto run = [=](size_t instance, size_t chunk, Team* team) {
    const uint64_t offset = static_cast<uint64_t>(chunk) * batch;
    const auto count = static_cast<size_t>(std::min<uint64_t>(batch, n - offset));
    run_rows(engine, instance, source, inputs, offset, count, batch,
             {static_cast<unsigned char*>(images.data) + offset * bytes, images.memory}, team);
  };
  return make_run_job(&engine->backend(), n, chunks, run);
}

}  // namespace zoo
