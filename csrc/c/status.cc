#include "c/status.h"

#include <cstring>
#include <iterator>
#include <new>
#include <stdexcept>
#include <string>

#include "zoo/errors.h"

namespace zoo::c {
namespace {

// Names of the classes of zoo/errors.h, by status.
constexpr const char* kNames[] = {"OK",
                                  "Error",
                                  "ArgumentError",
                                  "EngineFileError",
                                  "EngineNotFoundError",
                                  "NotAnEngineError",
                                  "ManifestError",
                                  "SchemaVersionError",
                                  "BackendUnavailableError",
                                  "DeviceUnavailableError",
                                  "ExecutionError",
                                  "OutOfMemoryError",
                                  "ClosedError",
                                  "CancelledError",
                                  "BusyError",
                                  "DeadlineError"};
static_assert(std::size(kNames) == ZOO_DEADLINE_ERROR + 1);

zoo_status status_of(const char* name) noexcept {
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (std::strcmp(kNames[i], name) == 0) return static_cast<zoo_status>(i);
  }
  return ZOO_ERROR;
}

// A message whose text cannot be kept, for lack of memory, is replaced by a constant.
class Message {
 public:
  void set(const char* text) noexcept {
    try {
      text_ = text;
      constant_ = nullptr;
    } catch (const std::exception&) {
      constant_ = "the host is out of memory";
    }
  }
  const char* get() const noexcept { return constant_ ? constant_ : text_.c_str(); }

 private:
  std::string text_;
  const char* constant_ = nullptr;
};

Message& message() noexcept {
  thread_local Message last;
  return last;
}

zoo_status fail(zoo_status status, const char* text) noexcept {
  message().set(text);
  return status;
}

}  // namespace

zoo_status report() noexcept {
  try {
    throw;
  } catch (const Error& error) {
    return fail(status_of(error.name()), error.what());
  } catch (const std::bad_alloc&) {
    return fail(ZOO_OUT_OF_MEMORY_ERROR, "the host is out of memory");
  } catch (const std::length_error&) {
    return fail(ZOO_OUT_OF_MEMORY_ERROR, "the result does not fit in the memory of the host");
  } catch (const std::exception& error) {
    return fail(ZOO_ERROR, error.what());
  } catch (...) {
    return fail(ZOO_ERROR, "an exception of an unknown class");
  }
}

}  // namespace zoo::c

const char* zoo_error_message(void) { return zoo::c::message().get(); }

const char* zoo_status_name(zoo_status status) {
  const bool known = status >= 0 && status <= ZOO_DEADLINE_ERROR;
  return zoo::c::kNames[known ? status : ZOO_ERROR];
}
