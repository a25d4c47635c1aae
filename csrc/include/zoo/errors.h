// Errors that the runtime throws: one class per kind, each naming what it got
// and what it expected. Python has the same names in runtime.errors.
#pragma once

#include <stdexcept>
#include <string>

#include "zoo/export.h"

namespace zoo {

// Base of every error thrown on purpose. name() is the class's own name.
class ZOO_API Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message) : std::runtime_error(message) {}
  ~Error() override;
  virtual const char* name() const noexcept { return "Error"; }
};

#define ZOO_DECLARE_ERROR(Name, Base)                            \
  class ZOO_API Name : public Base {                             \
   public:                                                       \
    explicit Name(const std::string& message) : Base(message) {} \
    ~Name() override;                                            \
    const char* name() const noexcept override { return #Name; } \
  }

// An argument has a wrong value or size.
ZOO_DECLARE_ERROR(ArgumentError, Error);
// An engine file cannot be read: empty, truncated, or of another format.
ZOO_DECLARE_ERROR(EngineFileError, Error);
// There is no file of that name.
ZOO_DECLARE_ERROR(EngineNotFoundError, EngineFileError);
// A valid ONNX file that carries no manifest.
ZOO_DECLARE_ERROR(NotAnEngineError, EngineFileError);
// The manifest is not valid JSON or misses a required field.
ZOO_DECLARE_ERROR(ManifestError, EngineFileError);
// The manifest's schema is newer than this runtime.
ZOO_DECLARE_ERROR(SchemaVersionError, ManifestError);
// A backend's library is missing, or the backend cannot run this file.
ZOO_DECLARE_ERROR(BackendUnavailableError, Error);
// The device (a GPU, or its driver) is not there.
ZOO_DECLARE_ERROR(DeviceUnavailableError, BackendUnavailableError);
// A backend failed while compiling or running a graph.
ZOO_DECLARE_ERROR(ExecutionError, Error);
// The device has not enough memory.
ZOO_DECLARE_ERROR(OutOfMemoryError, ExecutionError);
// The stream was closed before, or the process is ending, by another thread.
ZOO_DECLARE_ERROR(ClosedError, Error);
// The caller's cancellation function returned true.
ZOO_DECLARE_ERROR(CancelledError, Error);

#undef ZOO_DECLARE_ERROR

}  // namespace zoo
