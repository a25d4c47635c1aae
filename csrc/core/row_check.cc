#include "core/row_check.h"

#include <cstring>
#include <vector>

#include "core/random_rows.h"
#include "format/tensors.h"

namespace zoo {
namespace {

// Sums in another order differ in few values, and rounding to levels hides nearly all of those, so
// many values are compared.
constexpr size_t kMinValues = size_t{1} << 18;
constexpr size_t kMinDraws = 4;
constexpr size_t kMaxDraws = 32;

// Runs the graph once on `rows` rows of the inputs, beginning at row `from`; returns its outputs.
std::vector<RowBytes> run(Backend* backend, const Manifest& manifest, size_t instance,
                          const std::vector<std::string>& inputs,
                          const std::vector<std::string>& outputs, std::vector<RowBytes>* values,
                          size_t from, size_t rows) {
  std::vector<RowBytes> results;
  RunArguments arguments;
  arguments.rows = rows;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const bool shared =
        tensor_info(inputs[i], manifest, 1).bytes() == tensor_info(inputs[i], manifest, 2).bytes();
    const size_t offset = shared ? 0 : from * tensor_info(inputs[i], manifest, 1).bytes();
    arguments.inputs.push_back({inputs[i], (*values)[i].data() + offset});
  }
  for (const auto& name : outputs) results.emplace_back(tensor_info(name, manifest, rows).bytes());
  for (size_t i = 0; i < outputs.size(); ++i) {
    arguments.outputs.push_back({outputs[i], results[i].data()});
  }
  backend->run(instance, arguments);
  return results;
}

}  // namespace

bool rows_match_across_sizes(Backend* backend, const Manifest& manifest, size_t instance,
                             size_t fewer, size_t more) {
  const std::vector<std::string> inputs = input_names(manifest, /*draws=*/false);
  const std::vector<std::string> outputs = output_names(manifest);
  backend->prepare(fewer);
  backend->prepare(more);
  size_t compared = 0;
  for (size_t draw = 0; draw < kMaxDraws && (draw < kMinDraws || compared < kMinValues); ++draw) {
    std::vector<RowBytes> values;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const auto stream = static_cast<uint32_t>(draw * inputs.size() + i);
      values.push_back(random_rows(inputs[i], manifest, more, stream));
    }
    const auto part = [&](size_t from, size_t rows) {
      return run(backend, manifest, instance, inputs, outputs, &values, from, rows);
    };
    const std::vector<RowBytes> whole = part(0, more);
    for (size_t from = 0; from + fewer <= more; from += fewer) {
      const std::vector<RowBytes> rows = part(from, fewer);
      for (size_t i = 0; i < outputs.size(); ++i) {
        const size_t offset = from * tensor_info(outputs[i], manifest, 1).bytes();
        if (std::memcmp(rows[i].data(), whole[i].data() + offset, rows[i].size()) != 0) {
          return false;
        }
      }
    }
    for (const RowBytes& output : whole) compared += output.size();
  }
  return true;
}

}  // namespace zoo
