// The backends that this build knows: one row of a table for each kind of engine file and device.
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
  // Space-separated; null: the one that the file was built in.
  const char* precisions;
  // Whether its library is installed and it knows the precision on this machine. Opens nothing
  // heavy.
  bool (*can)(const std::string& precision);
  // Of its library; throws BackendUnavailableError where there is none.
  std::string (*version)();
  // Throws BackendUnavailableError, DeviceUnavailableError (no such device), EngineFileError,
  // ExecutionError.
  std::unique_ptr<Backend> (*make)(const BackendConfig&);
  // The numbers of rows that a run can have, rising; null: any.
  std::vector<size_t> (*run_sizes)(const Manifest&);
  // Whether "auto" takes it, for graphs that it knows, whatever the manifest has measured.
  bool (*goes_first)(const std::string& precision) = nullptr;
  // A row has the same bits in runs of every size, by construction.
  bool rows_match_across_sizes = false;
};

// In the order in which they are tried where the manifest has measured none.
std::vector<const BackendEntry*> backends_for(DeviceKind device, FileKind file);

// Names of those for a CPU.
ZOO_API const std::vector<std::string>& backend_names();

// ArgumentError that lists them.
[[noreturn]] void throw_unknown_backend(const std::string& name);

// Version of the library of a backend for a CPU. Throws ArgumentError for an unknown name,
// BackendUnavailableError where it is not installed.
ZOO_API std::string backend_version(const std::string& name);

}  // namespace zoo
