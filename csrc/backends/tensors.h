// Shape and type of the graphs' inputs and outputs, which follow from name and manifest.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backends/backend.h"

namespace zoo {

enum class TensorType { kFloat32, kUint8, kInt64 };

struct TensorInfo {
  TensorType type;
  std::vector<int64_t> shape;

  size_t bytes() const {
    size_t count = type == TensorType::kFloat32 ? 4 : type == TensorType::kInt64 ? 8 : 1;
    for (const int64_t size : shape) count *= static_cast<size_t>(size);
    return count;
  }
};

inline TensorInfo tensor_info(const std::string& name, const Manifest& manifest, size_t rows) {
  const auto n = static_cast<int64_t>(rows);
  if (name == io::kImage) {
    const auto h = static_cast<int64_t>(manifest.image.height);
    const auto w = static_cast<int64_t>(manifest.image.width);
    const auto c = static_cast<int64_t>(manifest.image.channels);
    if (manifest.image.type == ImageType::kUint8) return {TensorType::kUint8, {n, h, w, c}};
    return {TensorType::kFloat32, {n, c, h, w}};
  }
  if (name == io::kSeed || name == io::kFirst) return {TensorType::kInt64, {1}};
  return {TensorType::kFloat32, {n, static_cast<int64_t>(manifest.latent_width)}};
}

}  // namespace zoo
