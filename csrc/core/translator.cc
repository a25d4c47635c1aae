#include "zoo/translator.h"

#include "core/image_runner.h"

namespace zoo {

Translator::Translator(const std::string& path, const Options& options)
    : engine_(std::make_shared<Engine>(path, options, "translator")) {
  require_uint8_images(*engine_);
}

const Manifest& Translator::manifest() const { return engine_->manifest(); }
const std::string& Translator::backend() const { return engine_->backend_name(); }
size_t Translator::instances() const { return engine_->instances(); }

void Translator::translate(const void* images, size_t n, void* translated,
                           const Cancel& cancel) const {
  run_images(engine_.get(), {io::kInput, const_cast<void*>(images), manifest().input.bytes()}, n,
             {{io::kImage, translated, manifest().image.bytes()}}, cancel);
}

}  // namespace zoo
