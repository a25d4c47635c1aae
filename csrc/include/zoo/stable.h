// C++ classes over the C API. Everything here is inline, so that a program depends on nothing but
// the C functions of libzoo_c, whose ABI is stable: it may be built by another compiler, with
// another standard library, and goes on working when the library is updated. Programs that are
// built together with the library can use zoo/engine.h, which has types for all of the manifest and
// for batchers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "zoo.h"

namespace zoo::stable {

// A failure of the C API: its status, and zoo_error_message().
class Error : public std::runtime_error {
 public:
  explicit Error(zoo_status status) : std::runtime_error(zoo_error_message()), status_(status) {}
  zoo_status status() const noexcept { return status_; }
  const char* name() const noexcept { return zoo_status_name(status_); }

 private:
  zoo_status status_;
};

inline void check(zoo_status status) {
  if (status != ZOO_OK) throw Error(status);
}

// Returns a struct of the C API with its size, and the defaults of all other fields.
template <typename T>
T sized() {
  T value{};
  value.size = sizeof(T);
  return value;
}

// The images of a run in order: for (zoo_batch batch; stream.next(&batch);) …
class Stream {
 public:
  explicit Stream(zoo_stream* stream) : stream_(stream) {}

  // Waits for the next batch; returns false at the end. The images belong to the stream, until the
  // next call.
  bool next(zoo_batch* batch) {
    *batch = sized<zoo_batch>();
    check(zoo_stream_next(stream_.get(), batch));
    return batch->rows != 0;
  }

  void close() { check(zoo_stream_close(stream_.get())); }

 private:
  struct Free {
    void operator()(zoo_stream* stream) const { zoo_stream_free(stream); }
  };
  std::unique_ptr<zoo_stream, Free> stream_;
};

// A loaded engine file of any role. Thread-safe; copies share the engine. The methods throw Error,
// also for an engine of another role.
class Engine {
 public:
  explicit Engine(const std::string& path, zoo_options options = sized<zoo_options>()) {
    zoo_engine* engine = nullptr;
    check(zoo_engine_open(path.c_str(), &options, &engine));
    engine_ = std::shared_ptr<zoo_engine>(engine, zoo_engine_free);
    description_ = sized<zoo_description>();
    check(zoo_engine_describe(engine, &description_));
  }

  const zoo_engine* get() const { return engine_.get(); }
  const zoo_description& description() const { return description_; }

  int64_t label(const std::string& name) const {
    int64_t number = 0;
    check(zoo_engine_label(get(), name.c_str(), &number));
    return number;
  }

  // Images in bytes, of the format description().image.
  std::vector<uint8_t> sample(uint64_t n, uint64_t seed = 0, uint64_t first = 0) const {
    auto request = sized<zoo_sample_request>();
    request.n = n;
    request.seed = seed;
    request.first = first;
    return sample(request);
  }
  std::vector<uint8_t> sample(const zoo_sample_request& request) const {
    std::vector<uint8_t> images = make_images(request.n);
    check(zoo_sample(get(), &request, images.data(), images.size()));
    return images;
  }

  std::vector<uint8_t> decode(const std::vector<float>& latents) const {
    auto request = sized<zoo_decode_request>();
    request.latents = latents.data();
    request.n = rows_of("latents", latents.size(), description_.latent_width);
    return decode(request);
  }
  std::vector<uint8_t> decode(const zoo_decode_request& request) const {
    std::vector<uint8_t> images = make_images(request.n);
    check(zoo_decode(get(), &request, images.data(), images.size()));
    return images;
  }

  std::vector<uint8_t> interpolate(const zoo_interpolate_request& request) const {
    std::vector<uint8_t> images = make_images(request.rows * (request.steps + 1));
    check(zoo_interpolate(get(), &request, images.data(), images.size()));
    return images;
  }

  // Returns mu and logvar, [n, latent_width] each.
  std::pair<std::vector<float>, std::vector<float>> encode(
      const std::vector<uint8_t>& images) const {
    const auto request = rows_request(images, description_.image.bytes);
    std::vector<float> mu(request.n * description_.latent_width);
    std::vector<float> logvar(mu.size());
    check(zoo_encode(get(), &request, mu.data(), logvar.data(), mu.size()));
    return {std::move(mu), std::move(logvar)};
  }

  // Returns the scores, [n, score_count].
  std::vector<float> classify(const std::vector<uint8_t>& images) const {
    const auto request = rows_request(images, description_.image.bytes);
    std::vector<float> scores(request.n * description_.score_count);
    check(zoo_classify(get(), &request, scores.data(), scores.size()));
    return scores;
  }

  // Returns styles, [n, style_width].
  std::vector<float> map(const std::vector<float>& latents) const {
    const auto request = rows_request(latents, description_.latent_width);
    std::vector<float> styles(request.n * description_.style_width);
    check(zoo_map(get(), &request, styles.data(), styles.size()));
    return styles;
  }

  std::vector<uint8_t> translate(const std::vector<uint8_t>& images) const {
    auto request = sized<zoo_translate_request>();
    request.images = images.data();
    request.n = rows_of("images", images.size(), description_.input.bytes);
    return translate(request);
  }
  std::vector<uint8_t> translate(const zoo_translate_request& request) const {
    std::vector<uint8_t> images = make_images(request.n);
    check(zoo_translate(get(), &request, images.data(), images.size()));
    return images;
  }

  Stream stream(const zoo_sample_request& request, size_t prefetch = 0) const {
    zoo_stream* stream = nullptr;
    check(zoo_stream_open(get(), &request, prefetch, &stream));
    return Stream(stream);
  }

 private:
  // Numbers that do not fit in memory are refused by the C function.
  std::vector<uint8_t> make_images(size_t n) const {
    const size_t bytes = description_.image.bytes;
    const bool fits = n <= SIZE_MAX / 2 / (bytes ? bytes : 1);
    return std::vector<uint8_t>(fits ? n * bytes : 0);
  }

  static size_t rows_of(const char* name, size_t values, size_t width) {
    if (width != 0 && values % width == 0) return values / width;
    throw std::invalid_argument(std::string(name) + ": expected rows of " + std::to_string(width) +
                                ", got " + std::to_string(values) + " values");
  }

  template <typename T>
  zoo_rows_request rows_request(const std::vector<T>& values, size_t width) const {
    auto request = sized<zoo_rows_request>();
    request.rows = values.data();
    request.n = rows_of("rows", values.size(), width);
    return request;
  }

  std::shared_ptr<zoo_engine> engine_;
  zoo_description description_;
};

}  // namespace zoo::stable
