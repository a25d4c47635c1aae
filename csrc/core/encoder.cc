#include "zoo/encoder.h"

#include <algorithm>
#include <limits>

#include "core/image_runner.h"
#include "zoo/errors.h"

namespace zoo {

Encoder::Encoder(const std::string& path, const Options& options)
    : LoadedEngine(path, options, {"encoder"}) {
  require_uint8_images(engine());
}

bool Encoder::deterministic() const { return manifest().posterior == "deterministic"; }

void Encoder::encode(const void* images, size_t n, float* mu, float* logvar, const Cancel& cancel,
                     Memories memory) const {
  const size_t width = manifest().latent_width;
  if (deterministic() && logvar && memory.out == Memory::kDevice) {
    throw ArgumentError(
        "logvar: expected null with device memory, because this encoder is deterministic");
  }
  std::vector<Rows> outputs = {{io::kMu, mu, width * sizeof(float), memory.out}};
  if (!deterministic()) {
    outputs.push_back({io::kLogvar, logvar, width * sizeof(float), memory.out});
  }
  const Rows input = {io::kImage, const_cast<void*>(images), manifest().image.bytes(), memory.in};
  run_images(&engine(), {input, outputs, {}}, n, cancel);
  if (deterministic() && logvar) {
    std::fill_n(logvar, n * width, -std::numeric_limits<float>::infinity());
  }
}

}  // namespace zoo
