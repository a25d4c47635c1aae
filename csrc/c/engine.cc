#include "c/engine.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "c/status.h"
#include "format/roles.h"

namespace zoo::c {
namespace {

Options read_options(const zoo_options* given) {
  Options options;
  if (!given) return options;
  const zoo_options from = read_struct("options", given);
  if (from.device) options.device = from.device;
  if (from.backend) options.backend = from.backend;
  if (from.precision) options.precision = from.precision;
  options.instances = from.instances;
  options.bucket = from.bucket;
  return options;
}

std::vector<const char*> pointers(const std::vector<std::string>& names) {
  std::vector<const char*> result;
  for (const std::string& name : names) result.push_back(name.c_str());
  return result;
}

template <typename T>
std::unique_ptr<zoo_engine> load(const std::string& path, const Options& options) {
  return std::unique_ptr<zoo_engine>(new zoo_engine{T(path, options)});
}

std::unique_ptr<zoo_engine> load_by_role(const std::string& path, const Options& options) {
  const Manifest manifest = Manifest::read(path);
  const Role& role = role_of(manifest);
  if (!role.has(kRuns)) {
    throw ArgumentError("'" + path + "' has the role '" + manifest.role +
                        "', which this library does not run");
  }
  if (role.has(kDecodes)) return load<Generator>(path, options);
  if (role.has(kTranslates)) return load<Translator>(path, options);
  if (role.has(kScores)) return load<Classifier>(path, options);
  if (role.has(kMakesStyles)) return load<Mapping>(path, options);
  return load<Encoder>(path, options);
}

std::unique_ptr<zoo_engine> open(const std::string& path, const Options& options) {
  std::unique_ptr<zoo_engine> engine = load_by_role(path, options);
  const LoadedEngine& opened = loaded(engine.get());
  engine->backend = opened.backend();
  engine->device = opened.device();
  engine->attributes = pointers(opened.manifest().condition_names);
  engine->scores = pointers(opened.manifest().score_names);
  return engine;
}

zoo_image_format format_of(const ImageFormat& format) {
  const int32_t type = format.type == ImageType::kUint8 ? ZOO_UINT8 : ZOO_FLOAT32;
  return {format.height, format.width, format.channels, format.bytes(), type, 0};
}

zoo_description describe(const zoo_engine* engine) {
  const LoadedEngine& opened = loaded(engine);
  const Manifest& manifest = opened.manifest();
  zoo_description description{};
  description.role = manifest.role.c_str();
  description.model = manifest.model.c_str();
  description.manifest = manifest.json.c_str();
  description.backend = engine->backend.c_str();
  description.device = engine->device.c_str();
  description.precision = manifest.precision.c_str();
  description.instances = opened.instances();
  description.image = format_of(manifest.image);
  if (has_trait(manifest, kTranslates)) description.input = format_of(manifest.input);
  description.latent_width = manifest.latent_width;
  description.style_width = manifest.style_mean.size();
  description.has_prior = has_trait(manifest, kDrawsLatent) && manifest.prior != "none";
  description.has_mixture = !manifest.mixture.empty();
  description.deterministic = manifest.posterior == "deterministic";
  description.class_count = manifest.condition_classes;
  description.attribute_count = engine->attributes.size();
  description.attributes = engine->attributes.data();
  description.score_count = engine->scores.size();
  description.scores = engine->scores.data();
  return description;
}

}  // namespace

const LoadedEngine& loaded(const zoo_engine* engine) {
  require("engine", engine);
  return std::visit([](const auto& typed) -> const LoadedEngine& { return typed; }, engine->any);
}

void throw_wrong_role(const zoo_engine* engine, const char* expected) {
  throw ArgumentError(std::string("engine: expected ") + expected + ", got the role '" +
                      loaded(engine).manifest().role + "'");
}

Memory memory_of(const char* name, int32_t number) {
  if (number == ZOO_MEMORY_HOST) return Memory::kHost;
  if (number == ZOO_MEMORY_DEVICE) return Memory::kDevice;
  throw ArgumentError(std::string(name) +
                      ": expected ZOO_MEMORY_HOST (0) or ZOO_MEMORY_DEVICE (1), got " +
                      std::to_string(number));
}

Cancel cancel_of(zoo_cancel cancel, void* context) {
  if (!cancel) return {};
  return [cancel, context] { return cancel(context) != 0; };
}

const SampleKey* keys_of(const zoo_key* keys) {
  static_assert(sizeof(zoo_key) == sizeof(SampleKey) &&
                offsetof(zoo_key, index) == offsetof(SampleKey, index));
  return reinterpret_cast<const SampleKey*>(keys);
}

void check_reserved(int32_t field) {
  if (field != 0) throw ArgumentError("reserved: expected 0, got " + std::to_string(field));
}

void check_output(const char* name, const void* data, size_t given, size_t rows, size_t row) {
  if (rows > given / row) {
    throw ArgumentError(std::string(name) + ": expected room for " + std::to_string(rows) +
                        " rows of " + std::to_string(row) + ", got " + std::to_string(given));
  }
  // What is wrong with no rows is said by the call itself.
  if (rows != 0) require(name, data);
}

}  // namespace zoo::c

using zoo::c::guarded;
using zoo::c::require;

const char* zoo_version(void) { return ZOO_VERSION; }

uint32_t zoo_c_api_version(void) { return ZOO_C_API_VERSION; }

zoo_status zoo_set_warning_handler(zoo_warning_handler handler, void* context) {
  return guarded([&] {
    if (!handler) return zoo::set_warning_handler({});
    zoo::set_warning_handler(
        [handler, context](const std::string& message) { handler(message.c_str(), context); });
  });
}

zoo_status zoo_read_manifest(const char* path, char** json) {
  return guarded([&] {
    require("json", json);
    *json = nullptr;
    require("path", path);
    *json = ::strdup(zoo::Manifest::read(path).json.c_str());
    if (!*json) throw std::bad_alloc();
  });
}

void zoo_free_text(char* text) { std::free(text); }

zoo_status zoo_engine_open(const char* path, const zoo_options* options, zoo_engine** engine) {
  return guarded([&] {
    require("engine", engine);
    *engine = nullptr;
    require("path", path);
    *engine = zoo::c::open(path, zoo::c::read_options(options)).release();
  });
}

void zoo_engine_free(zoo_engine* engine) { delete engine; }

zoo_status zoo_engine_describe(const zoo_engine* engine, zoo_description* description) {
  return guarded([&] {
    require("engine", engine);
    zoo::c::write_struct("description", zoo::c::describe(engine), description);
  });
}

zoo_status zoo_engine_label(const zoo_engine* engine, const char* name, int64_t* label) {
  return guarded([&] {
    const auto& generator = zoo::c::engine_as<zoo::Generator>(engine, "a generator");
    require("name", name);
    require("label", label);
    *label = generator.manifest().label(name);
  });
}
