// The manifest: the JSON document inside an engine file that describes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "zoo/export.h"

namespace zoo {

// Newest schema that this library reads.
constexpr int kManifestSchema = 3;

// Key of the manifest in an ONNX file's metadata_props.
constexpr const char* kManifestKey = "zoo.manifest";

enum class ImageType { kUint8, kFloat32 };

// Format of one image. uint8 images are H x W x C with values 0…255; float32 images are C x H x W
// with values in the range of the manifest.
struct ImageFormat {
  size_t height = 0;
  size_t width = 0;
  size_t channels = 0;
  ImageType type = ImageType::kUint8;

  size_t values() const { return height * width * channels; }
  size_t bytes() const { return values() * (type == ImageType::kUint8 ? 1 : sizeof(float)); }
};

// Noise that a layer of the graph draws: `width` values from N(0, 1) per image.
struct LayerNoise {
  uint32_t stream = 0;
  size_t width = 0;
};

// Learned prior: a mixture of Gaussians. A value z from N(0, 1), drawn from the noise stream,
// selects the component k, the number of thresholds below z; h = means[k] + scales[k] · eps.
struct Mixture {
  uint32_t stream = 0;
  std::vector<float> thresholds;  // ascending, one fewer than components
  std::vector<float> means;       // [components, latent_width]
  // Lower triangular factors of the covariances, [components, width · (width + 1) / 2], row by row;
  // if diagonal, standard deviations [components, width].
  std::vector<float> scales;
  bool diagonal = false;

  bool empty() const { return means.empty(); }
};

// An input or output of a plan.
struct PlanTensor {
  std::string name;
  std::string type;            // float32, int64 or uint8
  std::vector<int64_t> shape;  // the first axis is -1 if it is the batch
  size_t row_bytes = 0;        // bytes of one row, or of the whole tensor without a batch axis
  bool rows = false;           // the first axis is the batch

  size_t bytes(size_t count) const { return rows ? count * row_bytes : row_bytes; }
};

// Description of a TensorRT plan.
struct PlanDescription {
  std::string target;           // tensorrt or tensorrt-rtx
  std::string tensorrt;         // version that built the plan
  std::string capability;       // the compute capability it is bound to, "9.0"; empty: any
  bool eight_bits = false;      // some products are computed in 8 bits
  bool plugins = false;         // draws its noise with plugins, which this runtime does not run
  std::vector<size_t> buckets;  // rows of a run, rising; one profile each
  std::vector<PlanTensor> inputs;
  std::vector<PlanTensor> outputs;
};

struct ZOO_API Manifest {
  int schema = 0;
  std::string model;
  // generator, encoder, interpolator, translator, discriminator, classifier; for style-based
  // generators also mapping (latents to styles) and synthesis (styles to images)
  std::string role;
  ImageFormat image;  // the input of encoders and classifiers, the output of the other roles

  // Roles with a latent. mean and std: of the encoder's mu over the training images, empty in old
  // files. directions: by attribute, the mean latent with it minus the mean latent without it.
  size_t latent_width = 0;
  std::string prior;      // "normal", or "none" for plain autoencoders, which cannot sample
  Mixture mixture;        // the learned prior, empty if there is none
  std::string posterior;  // "gaussian", or "deterministic" for encoders without logvar
  std::vector<float> latent_mean;
  std::vector<float> latent_std;
  std::map<std::string, std::vector<float>> directions;

  // Translators: the input, uint8. alpha: its last channel is a mask, 255 where the image is known,
  // 0 where it is hidden.
  ImageFormat input;
  bool alpha = false;
  std::string task;  // denoising, inpainting, colorization, ...

  // Classifiers: one score per name. kind: "classes" (softmax) or "multilabel" (sigmoids).
  std::vector<std::string> score_names;
  std::string score_kind;

  // Conditions. Generators: the number of classes, 0 if not conditional; `classes` may name them.
  // Translators: the names of the target attributes.
  size_t condition_classes = 0;
  std::vector<std::string> condition_names;

  // Style-based generators (Karras et al. 2019): the number of layers that take a style, and the
  // mean style, the centre of truncation. Its size is the width of a style.
  size_t style_layers = 0;
  std::vector<float> style_mean;

  std::vector<std::string> classes;     // of the training data
  std::vector<std::string> attributes;  // of the training data
  std::string precision;
  // Limits of the rows of one run of the graph. With fewer than batch_min, the bits of a row may
  // differ; the runtime pads smaller requests.
  size_t batch_min = 1;
  size_t batch_max = 1;
  uint32_t latent_stream = 0;           // noise stream of the latent
  std::vector<LayerNoise> layer_noise;  // of the layers that draw noise
  // Images/s measured at export, by backend: the geometric mean over the batch sizes.
  std::map<std::string, double> throughput;
  // For the precision int8: the range [low, high] of the operand of each layer that may multiply
  // bytes, by the value of the graph that the layer computes; or why the file has no such layers.
  std::map<std::string, std::pair<float, float>> int8_ranges;
  std::string int8_refused;
  PlanDescription plan;  // without buckets if the file is not a plan
  // BLAKE2b of the file (format/engine_file.h), 64 hexadecimal digits, or empty.
  std::string file_blake2b;
  std::string json;  // the document as stored in the file

  // Returns the number of a class of a conditional generator. Throws ArgumentError that lists the
  // classes.
  int64_t label(const std::string& name) const;

  // Describes the valid classes, for messages.
  std::string class_range() const;

  // Reads and validates a document. Throws ManifestError with the field, or SchemaVersionError with
  // both versions.
  static Manifest parse(const std::string& json);

  // Reads the manifest of an engine file without loading its graph. Throws EngineNotFoundError,
  // EngineFileError, NotAnEngineError, and as parse.
  static Manifest read(const std::string& path);
};

}  // namespace zoo
