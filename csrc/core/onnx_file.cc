#include "core/onnx_file.h"

#include <cstdint>

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

constexpr uint32_t kVarint = 0;
constexpr uint32_t kLengthDelimited = 2;

enum class Wire { kOk, kTruncated, kMalformed };

struct Field {
  uint32_t number = 0;
  uint32_t type = 0;
  const uint8_t* begin = nullptr;  // payload of a length-delimited field
  const uint8_t* end = nullptr;
};

Wire read_varint(const uint8_t** at, const uint8_t* end, uint64_t* value) {
  *value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (*at == end) return Wire::kTruncated;
    const uint8_t byte = *(*at)++;
    *value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return Wire::kOk;
  }
  return Wire::kMalformed;
}

Wire read_field(const uint8_t** at, const uint8_t* end, Field* field) {
  uint64_t tag = 0;
  if (const Wire w = read_varint(at, end, &tag); w != Wire::kOk) return w;
  field->number = static_cast<uint32_t>(tag >> 3);
  field->type = static_cast<uint32_t>(tag & 7);
  uint64_t value = 0;
  if (field->type != kVarint && field->type != kLengthDelimited) return Wire::kMalformed;
  if (const Wire w = read_varint(at, end, &value); w != Wire::kOk) return w;
  if (field->type == kVarint) return Wire::kOk;
  if (value > static_cast<uint64_t>(end - *at)) return Wire::kTruncated;
  field->begin = *at;
  field->end = *at += value;
  return Wire::kOk;
}

// The value of one metadata entry if its key is the manifest's.
bool read_entry(const Field& entry, std::string* value) {
  std::string key;
  std::string text;
  const uint8_t* at = entry.begin;
  while (at != entry.end) {
    Field field;
    if (read_field(&at, entry.end, &field) != Wire::kOk) return false;
    std::string* target = field.number == kEntryKey     ? &key
                          : field.number == kEntryValue ? &text
                                                        : nullptr;
    if (target && field.begin) target->assign(field.begin, field.end);
  }
  if (key != kManifestKey) return false;
  *value = std::move(text);
  return true;
}

bool known_field(uint32_t number) {
  for (const uint32_t known : kKnownFields) {
    if (known == number) return true;
  }
  return false;
}

}  // namespace

std::string read_onnx_manifest(const MappedFile& file) {
  const std::string& path = file.path();
  bool has_graph = false;
  bool has_manifest = false;
  std::string manifest;
  const uint8_t* at = file.begin();
  while (at != file.end()) {
    Field field;
    const Wire wire = read_field(&at, file.end(), &field);
    if (wire == Wire::kTruncated && known_field(field.number) && at - file.begin() > 2) {
      throw EngineFileError("engine file '" + path + "' is truncated at byte " +
                            std::to_string(file.end() - file.begin()));
    }
    if (wire != Wire::kOk || !known_field(field.number)) {
      throw EngineFileError("engine file '" + path + "' is not an ONNX file");
    }
    if (field.number == kGraph) has_graph = true;
    if (field.number == kMetadataProps && field.begin && !has_manifest) {
      has_manifest = read_entry(field, &manifest);
    }
  }
  if (!has_graph) throw EngineFileError("engine file '" + path + "' is not an ONNX file");
  if (!has_manifest) {
    throw NotAnEngineError("'" + path + "' is an ONNX file but no engine: it has no " +
                           kManifestKey + " in its metadata; make one with python -m export");
  }
  return manifest;
}

}  // namespace zoo
