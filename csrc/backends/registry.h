// Table of the backends, with one row per backend, device and kind of engine file.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "zoo/export.h"

namespace zoo {

enum class DeviceKind { kCpu, kGpu };
enum class FileKind { kOnnx, kPlan };

struct BackendEntry {
  const char* name;
  DeviceKind device;
  FileKind file;
  // Separated by spaces; null: only the one that the file was built in.
  const char* precisions;
  // Returns true if its library is installed and supports the precision on this machine. Must be
  // cheap: it does not open the library.
  bool (*can)(const std::string& precision);
  // Returns the version of its library. Throws BackendUnavailableError if it is not installed.
  std::string (*version)();
  // Throws BackendUnavailableError, DeviceUnavailableError (no such device), EngineFileError,
  // ExecutionError.
  std::unique_ptr<Backend> (*make)(const BackendConfig&);
  // Returns the possible numbers of rows of a run, rising; null: any number.
  std::vector<size_t> (*run_sizes)(const Manifest&);
  // Returns true if "auto" prefers it for graphs that it supports, whatever the manifest measured.
  bool (*goes_first)(const std::string& precision) = nullptr;
  // A row has the same bits in runs of every size, by construction.
  bool rows_match_across_sizes = false;
};

// Backends in order of preference, which counts if the manifest has no measurements.
std::vector<const BackendEntry*> backends_for(DeviceKind device, FileKind file);

// Names of the backends for a CPU.
ZOO_API const std::vector<std::string>& backend_names();

// Throws ArgumentError that lists the backends.
[[noreturn]] void throw_unknown_backend(const std::string& name);

// Returns the version of the library of a CPU backend. Throws ArgumentError for an unknown name,
// BackendUnavailableError if it is not installed.
ZOO_API std::string backend_version(const std::string& name);

}  // namespace zoo
