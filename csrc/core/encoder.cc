#include "zoo/encoder.h"

#include <algorithm>
#include <limits>

#include "core/image_runner.h"
#include "zoo/errors.h"

namespace zoo {

Encoder::Encoder(const std::string& path, const Options& options)
    : engine_(std::make_shared<Engine>(path, options, std::vector<std::string>{"encoder"})) {
  require_uint8_images(*engine_);
}

const Manifest& Encoder::manifest() const { return engine_->manifest(); }
const std::string& Encoder::backend() const { return engine_->backend_name(); }
size_t Encoder::instances() const { return engine_->instances(); }
std::string Encoder::device() const { return engine_->device(); }
uint64_t Encoder::peak_device_bytes() const { return engine_->peak_device_bytes(); }
bool Encoder::deterministic() const { return manifest().posterior == "deterministic"; }

void Encoder::encode(const void* images, size_t n, float* mu, float* logvar, const Cancel& cancel,
                     Memories memory) const {
  const size_t width = manifest().latent_width;
  if (deterministic() && logvar && memory.out == Memory::kDevice) {
    throw ArgumentError("logvar: it is -infinity everywhere, expected null in a device's memory");
  }
  std::vector<Rows> outputs = {{io::kMu, mu, width * sizeof(float), memory.out}};
  if (!deterministic()) {
    outputs.push_back({io::kLogvar, logvar, width * sizeof(float), memory.out});
  }
  const Rows pictures = {io::kImage, const_cast<void*>(images), manifest().image.bytes(),
                         memory.in};
  run_images(engine_.get(), {pictures, outputs, {}}, n, cancel);
  if (deterministic() && logvar) {
    std::fill_n(logvar, n * width, -std::numeric_limits<float>::infinity());
  }
}

}  // namespace zoo
