// Fuzzes the checks of ONNX graphs, without a manifest.

#include <string_view>

#include "format/onnx_check.h"
#include "zoo/errors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    check_onnx(zoo::parse_onnx({reinterpret_cast<const char*>(data), size}));
  } catch (const zoo::Error&) {
    // As in engine_fuzz.cc.
  }
  return 0;
}
