#include "core/row_check.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "format/tensors.h"
#include "ops/reparametrized_sample.h"

namespace zoo {
namespace {

using Bytes = std::vector<unsigned char>;

// Sums in another order differ in few values, and of those rounding to levels hides nearly all:
// many are compared.
constexpr size_t kValues = size_t{1} << 18;
constexpr size_t kLeastDraws = 4;
constexpr size_t kMostDraws = 32;

// Rows of one input: N(0, 1), levels, or classes; 1 for what all rows share.
Bytes random_rows(const std::string& name, const Manifest& manifest, size_t rows, uint32_t stream) {
  const TensorInfo info = tensor_info(name, manifest, rows);
  Bytes bytes(info.bytes());
  const NoiseKey key{0, 0, stream};
  if (info.type == TensorType::kFloat32) {
    std::vector<float> values(bytes.size() / sizeof(float), 1.0f);
    if (name != io::kTruncation && name != io::kNoise) {
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

// One run: the outputs' rows, from inputs whose rows begin at `from`.
std::vector<Bytes> run(Backend* backend, const Manifest& manifest, size_t instance,
                       const std::vector<std::string>& inputs,
                       const std::vector<std::string>& outputs, std::vector<Bytes>* given,
                       size_t from, size_t rows) {
  std::vector<Bytes> results;
  RunArguments arguments;
  arguments.rows = rows;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const bool shared =
        tensor_info(inputs[i], manifest, 1).bytes() == tensor_info(inputs[i], manifest, 2).bytes();
    const size_t offset = shared ? 0 : from * tensor_info(inputs[i], manifest, 1).bytes();
    arguments.inputs.push_back({inputs[i], (*given)[i].data() + offset});
  }
  for (const auto& name : outputs) results.emplace_back(tensor_info(name, manifest, rows).bytes());
  for (size_t i = 0; i < outputs.size(); ++i) {
    arguments.outputs.push_back({outputs[i], results[i].data()});
  }
  backend->run(instance, arguments);
  return results;
}

}  // namespace

bool rows_stand_alone(Backend* backend, const Manifest& manifest, size_t instance, size_t fewer,
                      size_t more) {
  const std::vector<std::string> inputs = input_names(manifest, /*draws=*/false);
  const std::vector<std::string> outputs = output_names(manifest);
  backend->prepare(fewer);
  backend->prepare(more);
  size_t values = 0;
  for (size_t draw = 0; draw < kMostDraws && (draw < kLeastDraws || values < kValues); ++draw) {
    std::vector<Bytes> given;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const auto stream = static_cast<uint32_t>(draw * inputs.size() + i);
      given.push_back(random_rows(inputs[i], manifest, more, stream));
    }
    const auto part = [&](size_t from, size_t rows) {
      return run(backend, manifest, instance, inputs, outputs, &given, from, rows);
    };
    const std::vector<Bytes> whole = part(0, more);
    for (size_t from = 0; from + fewer <= more; from += fewer) {
      const std::vector<Bytes> rows = part(from, fewer);
      for (size_t i = 0; i < outputs.size(); ++i) {
        const size_t offset = from * tensor_info(outputs[i], manifest, 1).bytes();
        if (std::memcmp(rows[i].data(), whole[i].data() + offset, rows[i].size()) != 0) {
          return false;
        }
      }
    }
    for (const Bytes& output : whole) values += output.size();
  }
  return true;
}

}  // namespace zoo
