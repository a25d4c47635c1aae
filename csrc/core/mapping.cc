#include "zoo/mapping.h"

#include "core/checks.h"
#include "core/image_runner.h"

namespace zoo {

Mapping::Mapping(const std::string& path, const Options& options)
    : engine_(std::make_shared<Engine>(path, options, std::vector<std::string>{"mapping"})) {}

const Manifest& Mapping::manifest() const { return engine_->manifest(); }
const std::string& Mapping::backend() const { return engine_->backend_name(); }
size_t Mapping::instances() const { return engine_->instances(); }
std::string Mapping::device() const { return engine_->device(); }
uint64_t Mapping::peak_device_bytes() const { return engine_->peak_device_bytes(); }

void Mapping::map(const float* latents, size_t n, float* styles, const Cancel& cancel,
                  Memories memory) const {
  const size_t width = manifest().latent_width;
  check_range(n, 0, width * sizeof(float));
  if (memory.in == Memory::kHost) check_finite("latents", latents, n, width);
  const RowCall call = {
      {io::kLatent, const_cast<float*>(latents), width * sizeof(float), memory.in},
      {{io::kStyles, styles, style_width() * sizeof(float), memory.out}},
      {}};
  run_images(engine_.get(), call, n, cancel);
}

}  // namespace zoo
