#include "format/onnx_file.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "format/onnx_graph.h"
#include "zoo/errors.h"
#include "zoo/manifest.h"

namespace zoo {
namespace {

// Fields of onnx.ModelProto and of onnx.StringStringEntryProto.
constexpr uint32_t kGraph = 7;
constexpr uint32_t kMetadataProps = 14;
constexpr uint32_t kEntryKey = 1;
constexpr uint32_t kEntryValue = 2;
constexpr uint32_t kKnownFields[] = {1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26};

// Returns the value of a metadata entry if its key is kManifestKey.
std::optional<std::string_view> read_entry(std::string_view entry) {
  std::string_view key;
  std::string_view value;
  WireField field;
  for (WireReader reader(entry); next_field(&reader, "its metadata", &field);) {
    if (field.type != WireType::kBytes) continue;
    if (field.number == kEntryKey) key = field.bytes;
    if (field.number == kEntryValue) value = field.bytes;
  }
  if (key != kManifestKey) return std::nullopt;
  return value;
}

}  // namespace

std::string read_onnx_manifest(const FileContents& file) {
  const std::string name = "engine file '" + file.path() + "'";
  const size_t size = file.text().size();
  bool has_graph = false;
  std::optional<std::string_view> manifest;
  WireReader reader(file.text());
  WireField field;
  while (true) {
    const Wire wire = reader.next(&field);
    if (wire == Wire::kEnd) break;
    const bool known = std::count(std::begin(kKnownFields), std::end(kKnownFields), field.number);
    if (wire == Wire::kTruncated && known && size - reader.left() > 2) {
      throw EngineFileError(name + " is truncated at byte " + std::to_string(size));
    }
    if (wire != Wire::kOk || !known) throw EngineFileError(name + " is not an ONNX file");
    if (field.type != WireType::kBytes) continue;
    if (field.number == kGraph) has_graph = true;
    if (field.number != kMetadataProps) continue;
    try {
      const auto value = read_entry(field.bytes);
      if (value && manifest) throw EngineFileError("it has two manifests");
      if (value) manifest = value;
    } catch (const EngineFileError& error) {
      throw EngineFileError(name + " is damaged: " + error.what());
    }
  }
  if (!has_graph) throw EngineFileError(name + " is not an ONNX file");
  if (!manifest) {
    throw NotAnEngineError("'" + file.path() + "' is an ONNX file but not an engine: it has no " +
                           kManifestKey + " in its metadata; create one with python -m export");
  }
  return std::string(*manifest);
}

}  // namespace zoo
