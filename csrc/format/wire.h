// Reader of Protocol Buffers messages, field by field, without a schema and without copying.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace zoo {

enum class WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

enum class Wire { kOk, kEnd, kTruncated, kMalformed };

struct WireField {
  uint32_t number = 0;
  WireType type = WireType::kVarint;
  uint64_t value = 0;      // the bits of a number
  std::string_view bytes;  // of kBytes: a view into the message
};

class WireReader {
 public:
  explicit WireReader(std::string_view message) : rest_(message) {}

  // Reads the next field; returns kEnd after the last, and kMalformed for groups, which are
  // deprecated. A truncated field has its number and type.
  Wire next(WireField* field);

  // Reads a number without a tag, as in packed fields.
  Wire varint(uint64_t* value);

  bool at_end() const { return rest_.empty(); }
  size_t left() const { return rest_.size(); }

 private:
  Wire fixed(size_t bytes, uint64_t* value);

  std::string_view rest_;
};

}  // namespace zoo
