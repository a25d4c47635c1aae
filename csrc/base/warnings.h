// Warnings to the caller.
#pragma once

#include <string>

namespace zoo {

// Passes a one-line message to the handler (set_warning_handler), or prints it on standard error.
void warn(const std::string& message);

}  // namespace zoo
