// The manifest: the JSON document inside an engine file that says what it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "zoo/export.h"

namespace zoo {

// Newest manifest schema that this library reads.
constexpr int kManifestSchema = 1;

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

struct ZOO_API Manifest {
  int schema = 0;
  std::string model;
  std::string role;  // generator, encoder, interpolator, translator, discriminator, classifier
  size_t latent_width = 0;
  std::string prior;
  ImageFormat image;
  std::string precision;
  size_t batch_min = 1;
  size_t batch_max = 1;
  uint32_t latent_stream = 0;  // noise stream of the latent
  // images/s measured at export: backend -> geometric mean over batch sizes.
  std::map<std::string, double> throughput;
  std::string json;  // the whole document as it stands in the file

  // Reads and validates a document. Throws ManifestError naming the field, or
  // SchemaVersionError naming both versions.
  static Manifest parse(const std::string& json);

  // Reads the manifest of an engine file without loading its graph. Throws
  // EngineNotFoundError, EngineFileError, NotAnEngineError, and what parse throws.
  static Manifest read(const std::string& path);
};

}  // namespace zoo
