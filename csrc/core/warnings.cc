#include "core/warnings.h"

#include <cstdio>
#include <memory>
#include <mutex>

#include "zoo/options.h"

namespace zoo {
namespace {

std::mutex handler_mutex;

// Shared and never destroyed, as the loader of plans (backends/tensorrt/plan_backend.cc).
std::shared_ptr<const WarningHandler>& handler() {
  static auto* const kept = new std::shared_ptr<const WarningHandler>;
  return *kept;
}

}  // namespace

void warn(const std::string& message) {
  std::shared_ptr<const WarningHandler> call;
  {
    const std::lock_guard<std::mutex> lock(handler_mutex);
    call = handler();
  }
  if (call && *call) {
    (*call)(message);
  } else {
    std::fprintf(stderr, "generator-zoo: warning: %s\n", message.c_str());
  }
}

void set_warning_handler(WarningHandler given) {
  const std::lock_guard<std::mutex> lock(handler_mutex);
  handler() = std::make_shared<const WarningHandler>(std::move(given));
}

}  // namespace zoo
