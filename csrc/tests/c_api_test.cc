// The C API with nulls, wrong sizes and callbacks, under the sanitizers;
// tests/runtime/test_c_api.py compares what it makes with Python. Arguments: a generator, the
// backend.

#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/warnings.h"
#include "tests/check.h"
#include "zoo/engine.h"
#include "zoo/stable.h"

namespace {

using zoo::stable::sized;

// Checks a status, and that the thread's message contains `part`.
#define FAILS(expression, status, part) \
  CHECK((expression) == (status) && std::strstr(zoo_error_message(), part))

void nulls(const zoo_engine* engine) {
  unsigned char byte = 0;
  float value = 0;
  int64_t label = 0;
  char* json = nullptr;
  zoo_engine* opened = nullptr;
  zoo_stream* stream = nullptr;
  FAILS(zoo_engine_open(nullptr, nullptr, &opened), ZOO_ARGUMENT_ERROR, "path");
  FAILS(zoo_engine_open("x.onnx", nullptr, nullptr), ZOO_ARGUMENT_ERROR, "engine");
  FAILS(zoo_engine_open("x.onnx", nullptr, &opened), ZOO_ENGINE_NOT_FOUND_ERROR, "x.onnx");
  FAILS(zoo_read_manifest(nullptr, &json), ZOO_ARGUMENT_ERROR, "path");
  FAILS(zoo_read_manifest("x.onnx", nullptr), ZOO_ARGUMENT_ERROR, "json");
  FAILS(zoo_engine_describe(nullptr, nullptr), ZOO_ARGUMENT_ERROR, "engine");
  FAILS(zoo_engine_describe(engine, nullptr), ZOO_ARGUMENT_ERROR, "description");
  FAILS(zoo_engine_label(engine, nullptr, &label), ZOO_ARGUMENT_ERROR, "name");
  FAILS(zoo_engine_label(engine, "bag", nullptr), ZOO_ARGUMENT_ERROR, "label");
  FAILS(zoo_engine_label(engine, "bag", &label), ZOO_ARGUMENT_ERROR, "bag");
  for (const zoo_engine* of : {static_cast<const zoo_engine*>(nullptr), engine}) {
    const char* const what = of ? "request" : "engine";
    FAILS(zoo_sample(of, nullptr, &byte, 1), ZOO_ARGUMENT_ERROR, what);
    FAILS(zoo_decode(of, nullptr, &byte, 1), ZOO_ARGUMENT_ERROR, what);
    FAILS(zoo_interpolate(of, nullptr, &byte, 1), ZOO_ARGUMENT_ERROR, what);
    FAILS(zoo_stream_open(of, nullptr, 0, &stream), ZOO_ARGUMENT_ERROR, what);
    FAILS(zoo_encode(of, nullptr, &value, &value, 1), ZOO_ARGUMENT_ERROR, "engine");
    FAILS(zoo_classify(of, nullptr, &value, 1), ZOO_ARGUMENT_ERROR, "engine");
    FAILS(zoo_map(of, nullptr, &value, 1), ZOO_ARGUMENT_ERROR, "engine");
    FAILS(zoo_translate(of, nullptr, &byte, 1), ZOO_ARGUMENT_ERROR, "engine");
  }
  FAILS(zoo_stream_next(nullptr, nullptr), ZOO_ARGUMENT_ERROR, "stream");
  FAILS(zoo_stream_close(nullptr), ZOO_ARGUMENT_ERROR, "stream");
  zoo_engine_free(nullptr);
  zoo_stream_free(nullptr);
  zoo_free_text(nullptr);
}

void sizes(const zoo_engine* engine, size_t image_bytes) {
  std::vector<unsigned char> images(2 * image_bytes);
  auto request = sized<zoo_sample_request>();
  request.n = 2;
  CHECK(zoo_sample(engine, &request, images.data(), images.size()) == ZOO_OK);
  FAILS(zoo_sample(engine, &request, images.data(), images.size() - 1), ZOO_ARGUMENT_ERROR,
        "images: expected room for 2 rows");
  FAILS(zoo_sample(engine, &request, nullptr, images.size()), ZOO_ARGUMENT_ERROR, "images");
  request.n = SIZE_MAX;
  FAILS(zoo_sample(engine, &request, images.data(), images.size()), ZOO_ARGUMENT_ERROR, "images");

  // A program compiled with a later header: the struct goes on after the fields that are known
  // here.
  struct Later {
    zoo_sample_request known;
    uint64_t added[2];
  } later{};
  later.known.size = sizeof later;
  later.known.n = 2;
  CHECK(zoo_sample(engine, &later.known, images.data(), images.size()) == ZOO_OK);
  later.added[1] = 1;
  FAILS(zoo_sample(engine, &later.known, images.data(), images.size()), ZOO_ARGUMENT_ERROR,
        "does not know");
  for (const size_t wrong : {size_t{0}, sizeof(zoo_sample_request) - 1, size_t{5000}}) {
    request.size = wrong;
    FAILS(zoo_sample(engine, &request, images.data(), images.size()), ZOO_ARGUMENT_ERROR,
          "request.size");
  }
  struct LaterDescription {
    zoo_description known;
    uint64_t added;
  } description{};
  description.added = 7;
  description.known.size = sizeof description;
  CHECK(zoo_engine_describe(engine, &description.known) == ZOO_OK);
  CHECK(description.known.size == sizeof description && description.added == 0);
}

void callbacks(const zoo::stable::Engine& engine) {
  auto request = sized<zoo_sample_request>();
  request.n = 5000;
  // A function of a C++ program may throw, although it must not: that ends here too.
  request.cancel = [](void*) -> int { throw std::string("not an exception"); };
  std::vector<unsigned char> images(request.n * engine.description().image.bytes);
  CHECK(zoo_sample(engine.get(), &request, images.data(), images.size()) == ZOO_ERROR);
  bool asked = false;
  request.cancel = [](void* context) { return *static_cast<bool*>(context) = true, 1; };
  request.cancel_context = &asked;
  CHECK(zoo_sample(engine.get(), &request, images.data(), images.size()) == ZOO_CANCELLED_ERROR);
  CHECK(asked);

  std::string heard;
  const auto hear = [](const char* message, void* context) {
    *static_cast<std::string*>(context) = message;
  };
  CHECK(zoo_set_warning_handler(hear, &heard) == ZOO_OK);
  zoo::warn("of a test");
  CHECK(heard == "of a test");
  CHECK(zoo_set_warning_handler(nullptr, nullptr) == ZOO_OK);
}

// A stream outlives the engine that it comes from, and is closed by another thread.
void streams(const std::string& path, const zoo_options& options) {
  auto engine = std::make_unique<zoo::stable::Engine>(path, options);
  const std::vector<uint8_t> expected = engine->sample(10, 3);
  auto request = sized<zoo_sample_request>();
  request.n = 10;
  request.seed = 3;
  request.batch = 4;
  zoo::stable::Stream stream = engine->stream(request);
  const size_t bytes = engine->description().image.bytes;
  engine.reset();
  std::vector<uint8_t> images;
  zoo_batch batch;
  while (stream.next(&batch)) {
    const auto* const rows = static_cast<const uint8_t*>(batch.images);
    images.insert(images.end(), rows, rows + batch.rows * bytes);
  }
  CHECK(images == expected);
  std::thread([&] { stream.close(); }).join();
  THROWS(stream.next(&batch), zoo::stable::Error, "closed");
}

void run(const std::string& path, const zoo::Options& options) {
  auto given = sized<zoo_options>();
  given.backend = options.backend.c_str();
  given.instances = options.instances;
  const zoo::stable::Engine engine(path, given);
  const zoo::Generator generator(path, options);
  CHECK(engine.sample(7, 5, 2) == generator.sample(7, 5, 2));
  CHECK(engine.description().instances == options.instances);
  CHECK(engine.description().backend == options.backend);
  THROWS(engine.decode(std::vector<float>(3)), std::invalid_argument, "latents");
  THROWS(engine.encode(engine.sample(1)), zoo::stable::Error, "expected an encoder");
  nulls(engine.get());
  sizes(engine.get(), engine.description().image.bytes);
  callbacks(engine);
  streams(path, given);
}

}  // namespace

int main(int argc, char** argv) { return zoo::test::run_with_engine(argc, argv, run); }
