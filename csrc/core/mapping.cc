#include "zoo/mapping.h"

#include "base/checks.h"
#include "core/image_runner.h"

namespace zoo {

Mapping::Mapping(const std::string& path, const Options& options)
    : LoadedEngine(path, options, {"mapping"}) {}

void Mapping::map(const float* latents, size_t n, float* styles, const Cancel& cancel,
                  Memories memory) const {
  const size_t width = manifest().latent_width;
  check_range(n, 0, width * sizeof(float));
  if (memory.in == Memory::kHost) check_finite("latents", latents, n, width);
  const RowCall call = {
      {io::kLatent, const_cast<float*>(latents), width * sizeof(float), memory.in},
      {{io::kStyles, styles, style_width() * sizeof(float), memory.out}},
      {}};
  run_images(&engine(), call, n, cancel);
}

}  // namespace zoo
