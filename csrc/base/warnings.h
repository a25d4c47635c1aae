// What a caller should know and no error is thrown for.
#pragma once

#include <string>

namespace zoo {

// Hands one line to the handler (set_warning_handler), or prints it on standard error.
void warn(const std::string& message);

}  // namespace zoo
