// Engines with more inputs than latents or images: classes, styles and the noise of layers,
// attributes. Arguments: the folder of the files of tests/support/small_inputs.py, the backend.

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "ops/reparametrized_sample.h"
#include "tests/check.h"
#include "zoo/engine.h"

namespace {

constexpr size_t kImages = 40;
constexpr uint64_t kSeed = 11;
constexpr uint64_t kFirst = 5;

using Images = std::vector<uint8_t>;

zoo::SampleRequest make_request(uint64_t n, uint64_t first) { return {n, kSeed, first}; }

Images sample(const zoo::Generator& generator, const zoo::SampleRequest& request) {
  Images images(request.n * generator.manifest().image.bytes());
  generator.sample(request, images.data());
  return images;
}

Images decode(const zoo::Generator& generator, const zoo::DecodeRequest& request) {
  Images images(request.n * generator.manifest().image.bytes());
  generator.decode(request, images.data());
  return images;
}

Images stream_all(const zoo::Generator& generator, const zoo::SampleRequest& request) {
  Images images;
  zoo::Stream stream = generator.stream(request);
  zoo::Stream::Batch batch;
  while (stream.next(&batch)) {
    images.insert(images.end(), batch.images.get(),
                  batch.images.get() + batch.rows * generator.manifest().image.bytes());
  }
  return images;
}

Images slice(const Images& images, size_t bytes, size_t first, size_t count) {
  return Images(images.begin() + first * bytes, images.begin() + (first + count) * bytes);
}

void classes(const std::string& folder, const zoo::Options& options) {
  const zoo::Generator generator(folder + "/conditional.onnx", options);
  const zoo::Manifest& manifest = generator.manifest();
  const size_t bytes = manifest.image.bytes();
  CHECK(manifest.condition_classes == 3 && manifest.label("scarf") == 2);
  THROWS(manifest.label("glove"), zoo::ArgumentError, "0 to 2 (hat, coat, scarf), got 'glove'");

  std::vector<int64_t> labels;
  for (size_t i = 0; i < kImages; ++i) labels.push_back((kFirst + i) % 3);
  zoo::SampleRequest each = make_request(kImages, kFirst);
  const Images in_turn = sample(generator, each);
  each.labels = labels.data();
  each.label_count = labels.size();
  CHECK(sample(generator, each) == in_turn);
  each.batch = 7;
  CHECK(stream_all(generator, each) == in_turn);

  const std::vector<int64_t> cycle = {2, 2, 0, 1};
  zoo::SampleRequest cycled = make_request(kImages, kFirst);
  cycled.labels = cycle.data();
  cycled.label_count = cycle.size();
  cycled.cycle = true;
  const Images whole = sample(generator, cycled);
  CHECK(whole != in_turn && stream_all(generator, cycled) == whole);
  cycled.n = 9;
  cycled.first += 13;
  CHECK(sample(generator, cycled) == slice(whole, bytes, 13, 9));
}

void styles(const std::string& folder, const zoo::Options& options) {
  const zoo::Generator generator(folder + "/style.onnx", options);
  const zoo::Generator synthesis(folder + "/style.synthesis.onnx", options);
  const zoo::Mapping mapping(folder + "/style.mapping.onnx", options);
  const zoo::Manifest& manifest = generator.manifest();
  CHECK(manifest.style_layers == 2 && manifest.layer_noise.size() == 2);

  zoo::SampleRequest plain = make_request(kImages, kFirst);
  const Images whole = sample(generator, plain);
  zoo::SampleRequest truncated = plain;
  truncated.truncation = 0.5f;
  truncated.noise = 0.25f;
  const Images closer = sample(generator, truncated);
  CHECK(closer != whole && stream_all(generator, truncated) == closer);

  const size_t width = manifest.latent_width;
  const size_t style = mapping.style_width();
  std::vector<float> latents(kImages * width);
  zoo::fill_normal({kSeed, kFirst, manifest.latent_stream}, kImages, width, latents.data());
  zoo::DecodeRequest points;
  points.latents = latents.data();
  points.n = kImages;
  points.seed = kSeed;
  points.first = kFirst;
  CHECK(decode(generator, points) == whole);
  std::vector<float> styles(kImages * style);
  mapping.map(latents.data(), kImages, styles.data());
  std::vector<float> layers;
  for (size_t row = 0; row < kImages; ++row) {
    for (size_t layer = 0; layer < manifest.style_layers; ++layer) {
      layers.insert(layers.end(), styles.begin() + row * style, styles.begin() + (row + 1) * style);
    }
  }
  points.latents = layers.data();
  const Images again = decode(synthesis, points);
  int worst = 0;
  for (size_t i = 0; i < again.size(); ++i) worst = std::max(worst, std::abs(again[i] - whole[i]));
  CHECK(worst <= 1);
}

void translators(const std::string& folder, const zoo::Options& options) {
  const zoo::Translator conditional(folder + "/attributes.onnx", options);
  const zoo::Translator noisy(folder + "/noisy.onnx", options);
  const size_t bytes = conditional.manifest().image.bytes();
  CHECK(conditional.manifest().condition_names.size() == 2);
  const Images images(kImages * conditional.manifest().input.bytes(), 100);
  const auto translate = [&](const zoo::Translator& translator, zoo::TranslateRequest request) {
    request.images = images.data();
    Images translated(request.n * bytes);
    translator.translate(request, translated.data());
    return translated;
  };
  zoo::TranslateRequest request;
  request.n = kImages;
  std::vector<float> attributes;
  for (size_t i = 0; i < kImages; ++i) attributes.insert(attributes.end(), {0.25f, 1.0f});
  request.attributes = attributes.data();
  const Images each = translate(conditional, request);
  request.shared = true;
  CHECK(translate(conditional, request) == each);

  zoo::TranslateRequest seeded;
  seeded.n = kImages;
  seeded.seed = kSeed;
  const Images whole = translate(noisy, seeded);
  seeded.n = 9;
  seeded.first = 13;
  CHECK(translate(noisy, seeded) == slice(whole, bytes, 13, 9));
  seeded.seed = kSeed + 1;
  CHECK(translate(noisy, seeded) != slice(whole, bytes, 13, 9));
}

void run(const std::string& folder, const zoo::Options& options) {
  classes(folder, options);
  styles(folder, options);
  translators(folder, options);
}

}  // namespace

int main(int argc, char** argv) { return zoo::test::run_with_engine(argc, argv, run); }
