// Engine files, ONNX or plans: what is done with one before a library gets it.

#include "format/engine_file.h"
#include "fuzz/memory_file.h"
#include "zoo/errors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const zoo::fuzz::MemoryFile input(data, size);
  try {
    zoo::read_checked(input.path());
  } catch (const zoo::Error&) {
    // What it refuses it says so.
  }
  return 0;
}
