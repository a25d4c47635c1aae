#include "format/tensors.h"

#include <algorithm>

#include "format/onnx_graph.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

constexpr const char* kOutputs[] = {io::kImage, io::kLogvar, io::kMu, io::kScores, io::kStyles};

std::string describe(std::optional<TensorType> type, const std::vector<int64_t>& shape) {
  std::string text = "another type";
  if (type == TensorType::kFloat32) text = "float32";
  if (type == TensorType::kUint8) text = "uint8";
  if (type == TensorType::kInt64) text = "int64";
  text += " [";
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    text += (axis ? ", " : "") + (shape[axis] < 0 ? "N" : std::to_string(shape[axis]));
  }
  return text + "]";
}

// Compares shapes; a fixed number of rows must be the only batch size of the manifest.
bool same_shape(const std::vector<int64_t>& actual, const std::vector<int64_t>& expected,
                bool has_rows, const Manifest& manifest) {
  if (actual.size() != expected.size()) return false;
  for (size_t axis = 0; axis < actual.size(); ++axis) {
    if (actual[axis] < 0) continue;
    const bool rows = has_rows && axis == 0;
    if (rows ? manifest.batch_min != manifest.batch_max ||
                   actual[axis] != static_cast<int64_t>(manifest.batch_max)
             : actual[axis] != expected[axis]) {
      return false;
    }
  }
  return true;
}

}  // namespace

void check_tensors(const std::string& path, const Manifest& manifest, bool draws,
                   const std::vector<GraphTensor>& inputs,
                   const std::vector<GraphTensor>& outputs) {
  const std::string file = "engine file '" + path + "': its graph has ";
  const auto find = [](const std::vector<GraphTensor>& all, const std::string& name) {
    return std::find_if(all.begin(), all.end(),
                        [&](const GraphTensor& tensor) { return tensor.name == name; });
  };
  const auto check = [&](const char* what, const std::vector<GraphTensor>& all,
                         const std::string& name) {
    const auto tensor = find(all, name);
    if (tensor == all.end()) {
      throw EngineFileError(file + "no " + what + " '" + name + "', which the role '" +
                            manifest.role + "' needs");
    }
    TensorInfo expected = tensor_info(name, manifest, 1);
    if (tensor->type == expected.type &&
        same_shape(tensor->shape, expected.shape, has_rows(name), manifest)) {
      return;
    }
    if (has_rows(name)) expected.shape[0] = -1;
    throw EngineFileError(file + "the " + what + " '" + name + "' of " +
                          describe(tensor->type, tensor->shape) + ", but its manifest says " +
                          describe(expected.type, expected.shape));
  };
  std::vector<std::string> names = input_names(manifest, draws);
  // The noise operator's second operand; its first is among the names already.
  if (draws && has_trait(manifest, kDrawsLatent)) names.push_back(io::kLogvar);
  for (const std::string& name : names) check("input", inputs, name);
  for (const GraphTensor& input : inputs) {
    if (std::count(names.begin(), names.end(), input.name) != 0) continue;
    throw EngineFileError(file + "the input " + quoted(input.name) +
                          ", which is not in its manifest");
  }
  const std::vector<std::string> expected_outputs = output_names(manifest);
  for (const std::string& name : expected_outputs) check("output", outputs, name);
  for (const char* name : kOutputs) {
    if (std::count(expected_outputs.begin(), expected_outputs.end(), name) != 0) continue;
    if (find(outputs, name) == outputs.end()) continue;
    throw EngineFileError(file + "the output '" + name + "', which is not in its manifest");
  }
}

}  // namespace zoo
