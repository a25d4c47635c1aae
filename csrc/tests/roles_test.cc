// Rows of encoders, translators and classifiers. Arguments: the folder of the files of
// tests/support/small_engines.py, the backend.

#include <atomic>
#include <functional>
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
  const auto images = random_images(plain.manifest().image);
  const size_t bytes = plain.manifest().image.bytes();
  const size_t width = plain.manifest().latent_width;
  for (const zoo::Encoder* encoder : {&plain, &gaussian}) {
    check_rows<float>(images, bytes, width, [=](const uint8_t* in, size_t n, float* mu) {
      encoder->encode(in, n, mu, nullptr);
    });
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
  THROWS(translator.translate(nullptr, SIZE_MAX, nullptr), zoo::ArgumentError, "memory");
}

void classifiers(const std::string& folder, const zoo::Options& options) {
  const zoo::Classifier classifier(folder + "/classifier.onnx", options);
  const zoo::Manifest& manifest = classifier.manifest();
  const size_t width = manifest.score_names.size();
  check_rows<float>(
      random_images(manifest.image), manifest.image.bytes(), width,
      [&](const uint8_t* in, size_t n, float* scores) { classifier.classify(in, n, scores); });
}

void run(const std::string& folder, const zoo::Options& options) {
  encoders(folder, options);
  translators(folder, options);
  classifiers(folder, options);
}

}  // namespace

int main(int argc, char** argv) { return zoo::test::run_with_engine(argc, argv, run); }
