#include "zoo/errors.h"

namespace zoo {

// Out of line: one type_info for every library that throws or catches.
Error::~Error() = default;
ArgumentError::~ArgumentError() = default;
EngineFileError::~EngineFileError() = default;
EngineNotFoundError::~EngineNotFoundError() = default;
NotAnEngineError::~NotAnEngineError() = default;
ManifestError::~ManifestError() = default;
SchemaVersionError::~SchemaVersionError() = default;
BackendUnavailableError::~BackendUnavailableError() = default;
DeviceUnavailableError::~DeviceUnavailableError() = default;
ExecutionError::~ExecutionError() = default;
OutOfMemoryError::~OutOfMemoryError() = default;
ClosedError::~ClosedError() = default;
CancelledError::~CancelledError() = default;

}  // namespace zoo
