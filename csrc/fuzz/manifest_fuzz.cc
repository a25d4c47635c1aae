// Fuzzes the parser of manifests.

#include <string>

#include "zoo/errors.h"
#include "zoo/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    zoo::Manifest::parse(std::string(reinterpret_cast<const char*>(data), size));
  } catch (const zoo::Error&) {
    // As in engine_fuzz.cc.
  }
  return 0;
}
