#include "zoo/errors.h"

namespace zoo {

// Defined out of line so that all libraries that throw or catch them share one type_info.
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
BusyError::~BusyError() = default;
DeadlineError::~DeadlineError() = default;

}  // namespace zoo
