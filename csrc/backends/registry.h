// The backends that this build knows, by name.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "zoo/export.h"

namespace zoo {

ZOO_API const std::vector<std::string>& backend_names();

// Whether the backend's library is installed and it knows the precision. Opens nothing heavy.
bool backend_can(const std::string& name, const std::string& precision);

// Version of the backend's library; throws BackendUnavailableError where there is none.
ZOO_API std::string backend_version(const std::string& name);

// Throws ArgumentError for an unknown name, BackendUnavailableError, ExecutionError.
std::unique_ptr<Backend> make_backend(const std::string& name, const BackendConfig& config);

}  // namespace zoo
