// Messages of Protocol Buffers, read where they stand: fields one after another, without a schema.
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
  uint64_t value = 0;      // of a number, its bits
  std::string_view bytes;  // of kBytes, in the memory that is read
};

class WireReader {
 public:
  explicit WireReader(std::string_view message) : rest_(message) {}

  // The next field; kEnd after the last. Groups, which nothing has written for decades, are
  // malformed. What is truncated has its number and its type.
  Wire next(WireField* field);

  // A number without a field, as packed ones stand.
  Wire varint(uint64_t* value);

  bool at_end() const { return rest_.empty(); }
  size_t left() const { return rest_.size(); }

 private:
  Wire fixed(size_t bytes, uint64_t* value);

  std::string_view rest_;
};

}  // namespace zoo
