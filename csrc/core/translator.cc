#include "zoo/translator.h"

#include "base/checks.h"
#include "base/text.h"
#include "core/image_runner.h"

namespace zoo {

Translator::Translator(const std::string& path, const Options& options)
    : LoadedEngine(path, options, {"translator"}) {
  require_uint8_images(engine());
}

void Translator::translate(const TranslateRequest& request, void* translated,
                           const Cancel& cancel) const {
  check_range(request.n, request.first, manifest().input.bytes());
  const std::vector<std::string>& names = manifest().condition_names;
  if ((request.attributes == nullptr) != names.empty()) {
    throw ArgumentError(
        names.empty()
            ? "attributes: expected none, because '" + engine().path() + "' has no such input"
            : "attributes: expected a value for each of " + join(names) + ", got none");
  }
  GraphInputs inputs;
  inputs.seed = request.seed;
  inputs.first = request.first;
  set_keys(request.keys, &inputs);
  inputs.attributes = request.attributes;
  inputs.shared_attributes = request.shared;
  if (request.attributes) {
    check_finite("attributes", request.attributes, request.shared ? 1 : request.n, names.size());
  }
  const RowCall call = {
      {io::kInput, const_cast<void*>(request.images), manifest().input.bytes(), request.memory.in},
      {{io::kImage, translated, manifest().image.bytes(), request.memory.out}},
      inputs};
  run_images(&engine(), call, request.n, cancel);
}

void Translator::translate(const void* images, size_t n, void* translated,
                           const Cancel& cancel) const {
  TranslateRequest request;
  request.images = images;
  request.n = n;
  translate(request, translated, cancel);
}

}  // namespace zoo
