// Fuzzes the checks of an engine file, ONNX or plan, before it is passed to a library.

#include "format/engine_file.h"
#include "fuzz/memory_file.h"
#include "zoo/errors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const zoo::fuzz::MemoryFile input(data, size);
  try {
    zoo::read_checked(input.path());
  } catch (const zoo::Error&) {
    // Invalid input must be refused with a typed error.
  }
  return 0;
}
