// Reads the tensors of an ONNX file and checks their data.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "format/onnx_graph.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

// Fields of onnx.TensorProto.
constexpr uint32_t kDims = 1;
constexpr uint32_t kDataType = 2;
constexpr uint32_t kSegment = 3;
constexpr uint32_t kFloatData = 4;
constexpr uint32_t kInt32Data = 5;
constexpr uint32_t kStringData = 6;
constexpr uint32_t kInt64Data = 7;
constexpr uint32_t kName = 8;
constexpr uint32_t kRawData = 9;
constexpr uint32_t kDoubleData = 10;
constexpr uint32_t kUint64Data = 11;
constexpr uint32_t kExternalData = 13;
constexpr uint32_t kDataLocation = 14;

constexpr int64_t kMaxAxis = std::numeric_limits<int32_t>::max();

struct Kind {
  int bits;        // of one element as raw data
  uint32_t field;  // of elements that are not raw data
};

// By onnx.TensorProto.DataType; no backend supports the types after FLOAT8E5M2FNUZ.
constexpr Kind kKinds[] = {
    {0, 0},           {32, kFloatData},  {8, kInt32Data},   {8, kInt32Data},   {16, kInt32Data},
    {16, kInt32Data}, {32, kInt32Data},  {64, kInt64Data},  {0, kStringData},  {8, kInt32Data},
    {16, kInt32Data}, {64, kDoubleData}, {32, kUint64Data}, {64, kUint64Data}, {0, 0},
    {0, 0},           {16, kInt32Data},  {8, kInt32Data},   {8, kInt32Data},   {8, kInt32Data},
    {8, kInt32Data}};

// Records infinities and NaNs, whose exponent is all ones; a NaN's fraction is not 0.
template <typename Bits>
void flag(const char* data, size_t count, Bits exponent, Bits fraction, OnnxTensor* tensor) {
  Bits odd = 0;
  for (size_t i = 0; i < count; ++i) {
    Bits bits;
    std::memcpy(&bits, data + i * sizeof bits, sizeof bits);
    odd = static_cast<Bits>(odd | ((bits & exponent) == exponent));
  }
  if (odd == 0) return;
  for (size_t i = 0; i < count; ++i) {
    Bits bits;
    std::memcpy(&bits, data + i * sizeof bits, sizeof bits);
    if ((bits & exponent) != exponent) continue;
    ((bits & fraction) != 0 ? tensor->nan : tensor->infinite) = true;
  }
}

void flag_non_finite(const char* data, size_t count, OnnxTensor* tensor) {
  if (tensor->type == onnx_type::kFloat) {
    flag<uint32_t>(data, count, 0x7f800000, 0x7fffff, tensor);
  } else if (tensor->type == onnx_type::kDouble) {
    flag<uint64_t>(data, count, 0x7ff0000000000000, 0xfffffffffffff, tensor);
  } else if (tensor->type == onnx_type::kFloat16) {
    flag<uint16_t>(data, count, 0x7c00, 0x3ff, tensor);
  } else if (tensor->type == onnx_type::kBfloat16) {
    flag<uint16_t>(data, count, 0x7f80, 0x7f, tensor);
  }
}

// Counts the elements in a field of numbers, packed or single.
uint64_t count_numbers(const WireField& field, OnnxTensor* tensor) {
  if (field.type == WireType::kBytes) {
    if (field.number == kFloatData || field.number == kDoubleData) {
      const size_t size = field.number == kFloatData ? 4 : 8;
      if (field.bytes.size() % size != 0)
        throw EngineFileError("the data of a tensor are truncated");
      const size_t count = field.bytes.size() / size;
      flag_non_finite(field.bytes.data(), count, tensor);
      return count;
    }
    uint64_t count = 0;
    uint64_t value = 0;
    for (WireReader reader(field.bytes); !reader.at_end(); ++count) {
      if (reader.varint(&value) != Wire::kOk) {
        throw EngineFileError("the data of a tensor are truncated");
      }
      const auto half = static_cast<uint16_t>(value);
      flag_non_finite(reinterpret_cast<const char*>(&half), kKinds[tensor->type].bits == 16 ? 1 : 0,
                      tensor);
    }
    return count;
  }
  // A single number, which no exporter writes: the element is in the low bits.
  const auto low = static_cast<uint32_t>(field.value);
  const auto half = static_cast<uint16_t>(field.value);
  const char* const bits = kKinds[tensor->type].bits == 64
                               ? reinterpret_cast<const char*>(&field.value)
                           : kKinds[tensor->type].bits == 32 ? reinterpret_cast<const char*>(&low)
                                                             : reinterpret_cast<const char*>(&half);
  flag_non_finite(bits, kKinds[tensor->type].bits >= 16 ? 1 : 0, tensor);
  return 1;
}

void add_dims(const WireField& field, std::vector<int64_t>* shape) {
  const auto add = [&](uint64_t value) {
    if (value > static_cast<uint64_t>(kMaxAxis)) {
      throw EngineFileError("a tensor has an axis of length " +
                            std::to_string(static_cast<int64_t>(value)));
    }
    shape->push_back(static_cast<int64_t>(value));
  };
  if (field.type == WireType::kVarint) return add(field.value);
  if (field.type != WireType::kBytes)
    throw EngineFileError("the shape of a tensor has the wrong type");
  WireReader reader(field.bytes);
  for (uint64_t value = 0; !reader.at_end();) {
    if (reader.varint(&value) != Wire::kOk)
      throw EngineFileError("the shape of a tensor is truncated");
    add(value);
  }
}

uint64_t product(const OnnxTensor& tensor) {
  // An axis of length 0 makes the tensor empty, even if the other lengths overflow.
  if (std::count(tensor.shape.begin(), tensor.shape.end(), 0) != 0) return 0;
  uint64_t elements = 1;
  for (const int64_t length : tensor.shape) {
    if (__builtin_mul_overflow(elements, static_cast<uint64_t>(length), &elements)) {
      throw EngineFileError("the tensor " + quoted(tensor.name) + " has too many elements");
    }
  }
  return elements;
}

// Reads all fields but the data, which may precede or follow them.
OnnxTensor parse_header(std::string_view message) {
  OnnxTensor tensor;
  bool external = false;
  WireField field;
  for (WireReader reader(message); next_field(&reader, "a tensor", &field);) {
    if (field.number == kDims) {
      add_dims(field, &tensor.shape);
    } else if (field.number == kDataType && field.type == WireType::kVarint) {
      tensor.type = field.value < std::size(kKinds) ? static_cast<int>(field.value) : 0;
    } else if (field.number == kName) {
      tensor.name = field.bytes;
    } else if (field.number == kExternalData || field.number == kDataLocation) {
      external = external || field.number == kExternalData || field.value != 0;
    } else if (field.number == kSegment) {
      throw EngineFileError("a tensor is stored in segments, which are not supported");
    }
  }
  if (external) {
    throw EngineFileError("the tensor " + quoted(tensor.name) +
                          " has its data in another file, which is not supported");
  }
  return tensor;
}

}  // namespace

OnnxTensor parse_onnx_tensor(std::string_view message) {
  OnnxTensor tensor = parse_header(message);
  const std::string name = "the tensor " + quoted(tensor.name);
  const Kind kind = kKinds[tensor.type];
  if (kind.field == 0) throw EngineFileError(name + " has an unsupported type");
  tensor.elements = product(tensor);
  uint64_t count = 0;
  size_t raw = 0;
  WireField field;
  for (WireReader reader(message); next_field(&reader, "a tensor", &field);) {
    const bool typed = field.number >= kFloatData && field.number <= kUint64Data &&
                       field.number != kName && field.number != kRawData;
    if (typed && field.number != kind.field) {
      throw EngineFileError(name + " has data of the wrong type");
    }
    if (field.number == kRawData) {
      if (++raw != 1 || kind.bits == 0) throw EngineFileError(name + " has invalid raw data");
      const auto size = static_cast<size_t>(kind.bits / 8);
      if (field.bytes.size() % size != 0)
        throw EngineFileError(name + " is truncated within an element");
      count += field.bytes.size() / size;
      flag_non_finite(field.bytes.data(), field.bytes.size() / size, &tensor);
    } else if (typed) {
      count += field.number == kStringData ? 1 : count_numbers(field, &tensor);
    }
  }
  if (count != tensor.elements) {
    throw EngineFileError(name + " has " + std::to_string(tensor.elements) +
                          " elements by its shape, but data for " + std::to_string(count));
  }
  return tensor;
}

}  // namespace zoo
