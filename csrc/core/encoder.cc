#include "zoo/encoder.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/checks.h"
#include "core/engine.h"

namespace zoo {

Encoder::Encoder(const std::string& path, const Options& options)
    : engine_(std::make_shared<Engine>(path, options, "encoder")) {
  if (manifest().image.type != ImageType::kUint8) {
    throw ManifestError("'" + path + "': an encoder takes uint8 images");
  }
}

const Manifest& Encoder::manifest() const { return engine_->manifest(); }
const std::string& Encoder::backend() const { return engine_->backend_name(); }
size_t Encoder::instances() const { return engine_->instances(); }

void Encoder::encode(const void* images, size_t n, float* mu, float* logvar,
                     const Cancel& cancel) const {
  check_count(n);
  Engine* const engine = engine_.get();
  Backend& backend = engine->backend();
  const size_t batch = engine->run_size(n, 0);
  const size_t bytes = manifest().image.bytes();
  const size_t width = manifest().latent_width;
  if (backend.fixed_batch()) backend.prepare(batch);

  const auto chunk_work = [=, &backend](size_t instance, size_t chunk) {
    const size_t offset = chunk * batch;
    const size_t count = std::min(batch, n - offset);
    const auto* from = static_cast<const unsigned char*>(images) + offset * bytes;
    RunArguments arguments;
    arguments.rows = backend.fixed_batch() ? batch : count;
    if (arguments.rows == count) {
      arguments.inputs = {{io::kImage, const_cast<unsigned char*>(from)}};
      arguments.outputs = {{io::kMu, mu + offset * width}, {io::kLogvar, logvar + offset * width}};
      backend.run(instance, arguments);
      return;
    }
    // The last, shorter run of a backend with fixed sizes: pad, then cut.
    std::vector<unsigned char> padded(batch * bytes);
    std::memcpy(padded.data(), from, count * bytes);
    std::vector<float> means(batch * width);
    std::vector<float> logvars(batch * width);
    arguments.inputs = {{io::kImage, padded.data()}};
    arguments.outputs = {{io::kMu, means.data()}, {io::kLogvar, logvars.data()}};
    backend.run(instance, arguments);
    std::copy_n(means.data(), count * width, mu + offset * width);
    std::copy_n(logvars.data(), count * width, logvar + offset * width);
  };
  engine->pool().run(std::make_shared<Job>((n + batch - 1) / batch, chunk_work), cancel);
}

}  // namespace zoo
