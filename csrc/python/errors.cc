#include "python/bindings.h"

namespace zoo::python {

bool signal_raised() {
  const GilHeld held;
  return PyErr_CheckSignals() != 0;
}

void bind_errors(py::module_&) {
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const Error& error) {
      const py::object type = py::module_::import("runtime.errors").attr(error.name());
      py::set_error(type, error.what());
    }
  });
}

}  // namespace zoo::python
