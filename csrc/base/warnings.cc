#include "base/warnings.h"

#include <cstdio>
#include <utility>

#include "base/process_function.h"
#include "zoo/options.h"

namespace zoo {
namespace {

ProcessFunction<WarningHandler>& handler() {
  static auto* const function = new ProcessFunction<WarningHandler>;
  return *function;
}

}  // namespace

void warn(const std::string& message) {
  if (const auto call = handler().get(); call && *call) {
    (*call)(message);
  } else {
    std::fprintf(stderr, "generator-zoo: warning: %s\n", message.c_str());
  }
}

void set_warning_handler(WarningHandler function) { handler().set(std::move(function)); }

}  // namespace zoo
