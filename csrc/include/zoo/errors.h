// Exceptions of the runtime. Messages name what was expected and what was found. Python has the
// same classes in runtime.errors.
#pragma once

#include <stdexcept>
#include <string>

#include "zoo/export.h"

namespace zoo {

// Base class of all exceptions of this library. name() returns the name of the class.
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

// An argument has an invalid value or size.
ZOO_DECLARE_ERROR(ArgumentError, Error);
// An engine file cannot be read: empty, truncated, or of another format.
ZOO_DECLARE_ERROR(EngineFileError, Error);
// The file does not exist.
ZOO_DECLARE_ERROR(EngineNotFoundError, EngineFileError);
// The file is a valid ONNX file or plan, but has no manifest.
ZOO_DECLARE_ERROR(NotAnEngineError, EngineFileError);
// The manifest is not valid JSON, or a field is missing or invalid.
ZOO_DECLARE_ERROR(ManifestError, EngineFileError);
// The manifest's schema is newer than this runtime.
ZOO_DECLARE_ERROR(SchemaVersionError, ManifestError);
// A backend's library is missing, or the backend cannot run this file.
ZOO_DECLARE_ERROR(BackendUnavailableError, Error);
// The device (a GPU or its driver) is not available.
ZOO_DECLARE_ERROR(DeviceUnavailableError, BackendUnavailableError);
// A backend failed while compiling or running a graph.
ZOO_DECLARE_ERROR(ExecutionError, Error);
// The device or the host has run out of memory.
ZOO_DECLARE_ERROR(OutOfMemoryError, ExecutionError);
// The stream was closed, or another thread is ending the process.
ZOO_DECLARE_ERROR(ClosedError, Error);
// The caller's cancellation function returned true, or a batcher's request was cancelled.
ZOO_DECLARE_ERROR(CancelledError, Error);
// A batcher has too many requests.
ZOO_DECLARE_ERROR(BusyError, Error);
// The deadline of a request has passed.
ZOO_DECLARE_ERROR(DeadlineError, Error);

#undef ZOO_DECLARE_ERROR

}  // namespace zoo
