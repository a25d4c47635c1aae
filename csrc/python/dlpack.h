// The C structures of DLPack 1.0 (https://dmlc.github.io/dlpack/latest/c_api.html), with which
// PyTorch, CuPy, JAX and others share arrays without a copy.
#pragma once

#include <cstdint>

namespace zoo::python::dlpack {

constexpr int32_t kCpu = 1;
constexpr int32_t kCuda = 2;
constexpr int32_t kCudaManaged = 13;

constexpr uint8_t kUnsigned = 1;
constexpr uint8_t kFloat = 2;

struct Device {
  int32_t type;
  int32_t index;
};

struct DataType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};

struct Tensor {
  void* data;
  Device device;
  int32_t dimensions;
  DataType dtype;
  int64_t* shape;
  int64_t* strides;  // in elements; null: dense, row-major
  uint64_t byte_offset;
};

// The last owner of either calls its deleter.
struct Managed {
  static constexpr const char* kName = "dltensor";
  static constexpr const char* kUsedName = "used_dltensor";

  Tensor tensor;
  void* context;
  void (*deleter)(Managed* self);
};

struct Versioned {
  static constexpr const char* kName = "dltensor_versioned";
  static constexpr const char* kUsedName = "used_dltensor_versioned";

  uint32_t major;
  uint32_t minor;
  void* context;
  void (*deleter)(Versioned* self);
  uint64_t flags;
  Tensor tensor;
};

constexpr uint64_t kReadOnly = 1;

}  // namespace zoo::python::dlpack
