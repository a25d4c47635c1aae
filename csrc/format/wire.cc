#include "format/wire.h"

namespace zoo {

Wire WireReader::varint(uint64_t* value) {
  *value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (rest_.empty()) return Wire::kTruncated;
    const auto byte = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    *value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return Wire::kOk;
  }
  return Wire::kMalformed;
}

Wire WireReader::fixed(size_t bytes, uint64_t* value) {
  if (rest_.size() < bytes) return Wire::kTruncated;
  *value = 0;
  for (size_t i = 0; i < bytes; ++i) {
    *value |= static_cast<uint64_t>(static_cast<uint8_t>(rest_[i])) << (8 * i);
  }
  rest_.remove_prefix(bytes);
  return Wire::kOk;
}

Wire WireReader::next(WireField* field) {
  *field = {};
  if (rest_.empty()) return Wire::kEnd;
  uint64_t tag = 0;
  if (const Wire wire = varint(&tag); wire != Wire::kOk) return wire;
  if (tag >> 3 == 0 || tag >> 32 != 0) return Wire::kMalformed;
  field->number = static_cast<uint32_t>(tag >> 3);
  field->type = static_cast<WireType>(tag & 7);
  switch (field->type) {
    case WireType::kVarint:
      return varint(&field->value);
    case WireType::kFixed64:
      return fixed(8, &field->value);
    case WireType::kFixed32:
      return fixed(4, &field->value);
    case WireType::kBytes:
      break;
    default:
      return Wire::kMalformed;
  }
  if (const Wire wire = varint(&field->value); wire != Wire::kOk) return wire;
  if (field->value > rest_.size()) return Wire::kTruncated;
  field->bytes = rest_.substr(0, field->value);
  rest_.remove_prefix(field->value);
  return Wire::kOk;
}

}  // namespace zoo
