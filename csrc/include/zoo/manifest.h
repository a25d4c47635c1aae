// The manifest: the JSON document inside an engine file that says what it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "zoo/export.h"

namespace zoo {

// Newest manifest schema that this library reads.
constexpr int kManifestSchema = 2;

// Key of the manifest in an ONNX file's metadata_props.
constexpr const char* kManifestKey = "zoo.manifest";

enum class ImageType { kUint8, kFloat32 };

// Geometry of one image. uint8 images are H x W x C with values 0…255; float32
// images are C x H x W with values in the manifest's range.
struct ImageFormat {
  size_t height = 0;
  size_t width = 0;
  size_t channels = 0;
  ImageType type = ImageType::kUint8;

  size_t values() const { return height * width * channels; }
  size_t bytes() const { return values() * (type == ImageType::kUint8 ? 1 : sizeof(float)); }
};

// Noise that a layer of the graph draws: `width` numbers of N(0, 1) an image.
struct LayerNoise {
  uint32_t stream = 0;
  size_t width = 0;
};

// An input or output of a plan.
struct PlanTensor {
  std::string name;
  std::string type;            // float32, int64 or uint8
  std::vector<int64_t> shape;  // -1 in the place of the batch, which is the first axis
  size_t row_bytes = 0;        // of one row, or of all of it where it is no rows
  bool rows = false;           // its first axis is the batch

  size_t bytes(size_t count) const { return rows ? count * row_bytes : row_bytes; }
};

// What a TensorRT plan says of itself.
struct PlanDescription {
  std::string target;           // tensorrt or tensorrt-rtx
  std::string tensorrt;         // its version
  std::string capability;       // compute capability that it is bound to, "9.0"; empty: to none
  bool eight_bits = false;      // some products are in eight bits
  std::vector<size_t> buckets;  // rows of a run, rising; one profile each
  std::vector<PlanTensor> inputs;
  std::vector<PlanTensor> outputs;
};

struct ZOO_API Manifest {
  int schema = 0;
  std::string model;
  // generator, encoder, interpolator, translator, discriminator, classifier; of style-based
  // generators also mapping (latents to styles) and synthesis (styles to images)
  std::string role;
  ImageFormat image;  // what goes into an encoder or a classifier, what comes out of the others

  // Roles with a latent; mean, std: of the encoder's mu over the training images, empty
  // in old files; directions: attribute -> mean latent with it minus mean latent without.
  size_t latent_width = 0;
  std::string prior;      // normal, or none: a plain autoencoder, which cannot sample
  std::string posterior;  // gaussian, or deterministic: an encoder without logvar
  std::vector<float> latent_mean;
  std::vector<float> latent_std;
  std::map<std::string, std::vector<float>> directions;

  // Translators: what goes in, uint8. alpha: the last channel of `input` is a mask, 255
  // where the picture is known, 0 where it is hidden.
  ImageFormat input;
  bool alpha = false;
  std::string task;  // denoising, inpainting, colorization, ...

  // Classifiers: one score a name. kind: classes (softmax) or multilabel (sigmoids).
  std::vector<std::string> score_names;
  std::string score_kind;

  // Conditions. Generators: the number K of classes to choose from, named by `classes` where
  // they have names; 0: none. Translators: the attributes that each image is to have.
  size_t condition_classes = 0;
  std::vector<std::string> condition_names;

  // Style-based generators (Karras et al. 2019): number of layers that take a style, and the
  // mean style, around which truncation contracts; its size is the width of a style.
  size_t style_layers = 0;
  std::vector<float> style_mean;

  std::vector<std::string> classes;     // of the training data
  std::vector<std::string> attributes;  // of the training data
  std::string precision;
  // Rows of one run of the graph. With fewer than batch_min a row may come out with other
  // bits; the runtime pads smaller requests.
  size_t batch_min = 1;
  size_t batch_max = 1;
  uint32_t latent_stream = 0;           // noise stream of the latent
  std::vector<LayerNoise> layer_noise;  // of the layers that draw noise of their own
  // images/s measured at export: backend -> geometric mean over batch sizes.
  std::map<std::string, double> throughput;
  PlanDescription plan;  // no buckets: the file is no plan
  // BLAKE2b of the file (format/engine_file.h), 64 hexadecimal digits; empty: it has none.
  std::string file_blake2b;
  std::string json;  // the whole document as it stands in the file

  // The number of a class of a conditional generator. Throws ArgumentError, listing the classes.
  int64_t label(const std::string& name) const;

  // The classes to choose from, in words.
  std::string class_range() const;

  // Reads and validates a document. Throws ManifestError naming the field, or
  // SchemaVersionError naming both versions.
  static Manifest parse(const std::string& json);

  // Reads the manifest of an engine file without loading its graph. Throws
  // EngineNotFoundError, EngineFileError, NotAnEngineError, and what parse throws.
  static Manifest read(const std::string& path);
};

}  // namespace zoo
