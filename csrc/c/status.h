// The boundary of the C API: exceptions become a status and the thread's message.
#pragma once

#include "zoo.h"

namespace zoo::c {

// Keeps the message of the exception that is being handled, and returns its status.
zoo_status report() noexcept;

// Calls body(), and returns the status of what it throws.
template <typename Body>
zoo_status guarded(const Body& body) noexcept {
  try {
    body();
    return ZOO_OK;
  } catch (...) {
    return report();
  }
}

}  // namespace zoo::c
