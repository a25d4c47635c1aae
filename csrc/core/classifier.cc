#include "zoo/classifier.h"

#include "core/image_runner.h"

namespace zoo {

Classifier::Classifier(const std::string& path, const Options& options)
    : LoadedEngine(path, options, {"classifier"}) {
  require_uint8_images(engine());
}

void Classifier::classify(const void* images, size_t n, float* scores, const Cancel& cancel,
                          Memories memory) const {
  const size_t bytes = manifest().score_names.size() * sizeof(float);
  const RowCall call = {
      {io::kImage, const_cast<void*>(images), manifest().image.bytes(), memory.in},
      {{io::kScores, scores, bytes, memory.out}},
      {}};
  run_images(&engine(), call, n, cancel);
}

}  // namespace zoo
