// Calls with a row in and a row out: encoders, classifiers, mappings, translators.
#include "c/engine.h"
#include "c/status.h"

namespace zoo::c {
namespace {

// A zoo_rows_request as the arguments of C++.
struct RowsArguments {
  explicit RowsArguments(const zoo_rows_request* request) {
    const zoo_rows_request from = read_struct("request", request);
    require("rows", from.rows);
    rows = from.rows;
    n = from.n;
    memory = {memory_of("input_memory", from.input_memory),
              memory_of("output_memory", from.output_memory)};
    cancel = cancel_of(from.cancel, from.cancel_context);
  }

  const void* rows;
  size_t n;
  Memories memory;
  Cancel cancel;
};

TranslateRequest translate_request(const zoo_translate_request& from) {
  check_reserved(from.reserved);
  require("images", from.images);
  TranslateRequest request;
  request.images = from.images;
  request.n = from.n;
  request.attributes = from.attributes;
  request.shared = from.shared != 0;
  request.seed = from.seed;
  request.first = from.first;
  request.memory = {memory_of("input_memory", from.input_memory),
                    memory_of("output_memory", from.output_memory)};
  request.keys = keys_of(from.keys);
  return request;
}

}  // namespace
}  // namespace zoo::c

using zoo::c::check_output;
using zoo::c::engine_as;
using zoo::c::guarded;
using zoo::c::RowsArguments;

zoo_status zoo_encode(const zoo_engine* engine, const zoo_rows_request* request, float* mu,
                      float* logvar, size_t values) {
  return guarded([&] {
    const auto& encoder = engine_as<zoo::Encoder>(engine, "an encoder");
    const RowsArguments arguments(request);
    check_output("mu", mu, values, arguments.n, encoder.manifest().latent_width);
    encoder.encode(arguments.rows, arguments.n, mu, logvar, arguments.cancel, arguments.memory);
  });
}

zoo_status zoo_classify(const zoo_engine* engine, const zoo_rows_request* request, float* scores,
                        size_t values) {
  return guarded([&] {
    const auto& classifier = engine_as<zoo::Classifier>(engine, "a classifier");
    const RowsArguments arguments(request);
    check_output("scores", scores, values, arguments.n, classifier.manifest().score_names.size());
    classifier.classify(arguments.rows, arguments.n, scores, arguments.cancel, arguments.memory);
  });
}

zoo_status zoo_map(const zoo_engine* engine, const zoo_rows_request* request, float* styles,
                   size_t values) {
  return guarded([&] {
    const auto& mapping = engine_as<zoo::Mapping>(engine, "a mapping");
    const RowsArguments arguments(request);
    check_output("styles", styles, values, arguments.n, mapping.style_width());
    mapping.map(static_cast<const float*>(arguments.rows), arguments.n, styles, arguments.cancel,
                arguments.memory);
  });
}

zoo_status zoo_translate(const zoo_engine* engine, const zoo_translate_request* request,
                         void* images, size_t bytes) {
  return guarded([&] {
    const auto& translator = engine_as<zoo::Translator>(engine, "a translator");
    const zoo_translate_request from = zoo::c::read_struct("request", request);
    const zoo::TranslateRequest native = zoo::c::translate_request(from);
    check_output("images", images, bytes, native.n, translator.manifest().image.bytes());
    translator.translate(native, images, zoo::c::cancel_of(from.cancel, from.cancel_context));
  });
}
