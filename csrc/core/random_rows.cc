#include "core/random_rows.h"

#include <algorithm>
#include <cstring>

#include "format/tensors.h"
#include "ops/reparametrized_sample.h"

namespace zoo {

RowBytes random_rows(const std::string& name, const Manifest& manifest, size_t rows,
                     uint32_t stream) {
  const TensorInfo info = tensor_info(name, manifest, rows);
  RowBytes bytes(info.bytes());
  const NoiseKey key{0, 0, stream};
  if (info.type == TensorType::kFloat32) {
    std::vector<float> values(bytes.size() / sizeof(float), 1.0f);
    if (!is_scale(name)) {
      fill_normal(key, 1, values.size(), values.data());
    }
    std::memcpy(bytes.data(), values.data(), bytes.size());
  } else if (info.type == TensorType::kUint8) {
    std::vector<float> values(bytes.size());
    fill_normal(key, 1, values.size(), values.data());
    std::transform(values.begin(), values.end(), bytes.begin(), [](float value) {
      return static_cast<unsigned char>(std::clamp(128.0f + 64.0f * value, 0.0f, 255.0f));
    });
  } else {
    for (size_t row = 0; row < rows; ++row) {
      const auto label =
          static_cast<int64_t>(row % std::max<size_t>(1, manifest.condition_classes));
      std::memcpy(bytes.data() + row * sizeof label, &label, sizeof label);
    }
  }
  return bytes;
}

}  // namespace zoo
