// Fuzzes the search for the manifest in plans, and its parser.

#include "format/plan_file.h"
#include "fuzz/memory_file.h"
#include "zoo/errors.h"
#include "zoo/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const zoo::fuzz::MemoryFile input(data, size);
  try {
    const zoo::FileContents file(input.path());
    zoo::Manifest::parse(zoo::read_plan_manifest(file));
  } catch (const zoo::Error&) {
    // As in engine_fuzz.cc.
  }
  return 0;
}
