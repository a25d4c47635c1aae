#include "zoo/classifier.h"

#include "core/image_runner.h"

namespace zoo {

Classifier::Classifier(const std::string& path, const Options& options)
    : engine_(std::make_shared<Engine>(path, options, std::vector<std::string>{"classifier"})) {
  require_uint8_images(*engine_);
}

const Manifest& Classifier::manifest() const { return engine_->manifest(); }
const std::string& Classifier::backend() const { return engine_->backend_name(); }
size_t Classifier::instances() const { return engine_->instances(); }
std::string Classifier::device() const { return engine_->device(); }
uint64_t Classifier::peak_device_bytes() const { return engine_->peak_device_bytes(); }

void Classifier::classify(const void* images, size_t n, float* scores, const Cancel& cancel,
                          Memories memory) const {
  const size_t bytes = manifest().score_names.size() * sizeof(float);
  const RowCall call = {
      {io::kImage, const_cast<void*>(images), manifest().image.bytes(), memory.in},
      {{io::kScores, scores, bytes, memory.out}},
      {}};
  run_images(engine_.get(), call, n, cancel);
}

}  // namespace zoo
