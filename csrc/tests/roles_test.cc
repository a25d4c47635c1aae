// Encoders, translators, classifiers and the decoder of a plain autoencoder. Arguments: the folder
// of the files of tests/support/small_engines.py, the backend.

#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <thread>
#include <vector>

#include "tests/check.h"
#include "zoo/engine.h"

namespace {

constexpr size_t kImages = 70;

std::vector<uint8_t> random_images(const zoo::ImageFormat& format) {
  std::vector<uint8_t> images(kImages * format.bytes());
  uint32_t state = 1;
  for (auto& value : images) value = static_cast<uint8_t>((state = state * 1664525u + 1) >> 24);
  return images;
}

// Checks that calls with all images and with parts of them, in several threads, give the same rows.
template <typename Value>
void check_rows(const std::vector<uint8_t>& images, size_t bytes, size_t width,
                const std::function<void(const uint8_t* images, size_t n, Value* out)>& call) {
  std::vector<Value> all(kImages * width);
  call(images.data(), kImages, all.data());
  std::atomic<int> different{0};
  std::vector<std::thread> threads;
  for (size_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      const size_t counts[] = {1, 7, 33, 64};
      const size_t n = counts[thread];
      for (size_t first = 0; first + n <= kImages; first += 3) {
        std::vector<Value> part(n * width);
        call(images.data() + first * bytes, n, part.data());
        if (!std::equal(part.begin(), part.end(), all.begin() + first * width)) ++different;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(different == 0);
}

void encoders(const std::string& folder, const zoo::Options& options) {
  const zoo::Encoder plain(folder + "/plain.encoder.onnx", options);
  const zoo::Encoder gaussian(folder + "/gaussian.encoder.onnx", options);
  CHECK(plain.deterministic() && !gaussian.deterministic());
  CHECK(plain.manifest().latent_mean.size() == plain.manifest().latent_width);
  const auto images = random_images(plain.manifest().image);
  const size_t bytes = plain.manifest().image.bytes();
  const size_t width = plain.manifest().latent_width;
  for (const zoo::Encoder* encoder : {&plain, &gaussian}) {
    check_rows<float>(images, bytes, width, [=](const uint8_t* in, size_t n, float* mu) {
      encoder->encode(in, n, mu, nullptr);
    });
    std::vector<float> mu(3 * width);
    std::vector<float> same(3 * width);
    std::vector<float> logvar(3 * width);
    encoder->encode(images.data(), 3, mu.data(), logvar.data());
    encoder->encode(images.data(), 3, same.data(), nullptr);
    CHECK(mu == same);
    for (const float value : logvar) CHECK(std::isfinite(value) != encoder->deterministic());
  }
  THROWS(plain.encode(images.data(), 0, nullptr, nullptr), zoo::ArgumentError, "at least 1");
}

void translators(const std::string& folder, const zoo::Options& options) {
  const zoo::Translator translator(folder + "/translator.onnx", options);
  const zoo::Manifest& manifest = translator.manifest();
  CHECK(manifest.alpha && manifest.input.channels == 4 && manifest.image.channels == 3);
  check_rows<uint8_t>(
      random_images(manifest.input), manifest.input.bytes(), manifest.image.bytes(),
      [&](const uint8_t* in, size_t n, uint8_t* out) { translator.translate(in, n, out); });
  THROWS(zoo::Classifier(folder + "/translator.onnx"), zoo::ArgumentError, "role");
  THROWS(translator.translate(nullptr, SIZE_MAX, nullptr), zoo::ArgumentError, "memory");
}

void classifiers(const std::string& folder, const zoo::Options& options) {
  const zoo::Classifier classifier(folder + "/classifier.onnx", options);
  const zoo::Manifest& manifest = classifier.manifest();
  CHECK(manifest.score_kind == "classes");
  const size_t width = manifest.score_names.size();
  check_rows<float>(
      random_images(manifest.image), manifest.image.bytes(), width,
      [&](const uint8_t* in, size_t n, float* scores) { classifier.classify(in, n, scores); });
  THROWS(zoo::Translator(folder + "/classifier.onnx"), zoo::ArgumentError, "role");
}

void decoders(const std::string& folder, const zoo::Options& options) {
  const std::string path = folder + "/plain.onnx";
  const zoo::Generator decoder(path, options);
  const std::string message = "'" + path +
                              "' is an autoencoder's decoder: it has no prior to sample from; " +
                              "give mu and logvar, or decode latents";
  THROWS(decoder.sample(1), zoo::ArgumentError, message);
  THROWS(decoder.stream(1), zoo::ArgumentError, message);
  const size_t width = decoder.manifest().latent_width;
  CHECK(decoder.manifest().directions.at("bright").size() == width);
  const std::vector<float> mu(width, 0.5f);
  const std::vector<float> logvar(width, -std::numeric_limits<float>::infinity());
  zoo::SampleRequest request;
  request.n = 3;
  std::vector<uint8_t> sampled(3 * decoder.manifest().image.bytes());
  THROWS(decoder.sample(request, sampled.data()), zoo::ArgumentError, message);
  request.mu = mu.data();
  request.logvar = logvar.data();
  request.shared = true;
  decoder.sample(request, sampled.data());
  std::vector<uint8_t> decoded(decoder.manifest().image.bytes());
  decoder.decode(mu.data(), 1, decoded.data());
  CHECK(std::equal(decoded.begin(), decoded.end(), sampled.begin() + 2 * decoded.size()));
}

void run(const std::string& folder, const zoo::Options& options) {
  encoders(folder, options);
  translators(folder, options);
  classifiers(folder, options);
  decoders(folder, options);
}

}  // namespace

int main(int argc, char** argv) { return zoo::test::run_with_engine(argc, argv, run); }
