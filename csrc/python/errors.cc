#include <new>
#include <stdexcept>

#include "python/bindings.h"
#include "zoo/errors.h"

namespace zoo::python {
namespace {

// Returns the class of that name in runtime.errors, or their base class.
py::object error_class(const char* name) {
  const py::module_ errors = py::module_::import("runtime.errors");
  return py::hasattr(errors, name) ? errors.attr(name) : errors.attr("Error");
}

void set_error(const char* name, const std::string& message) {
  PyErr_SetObject(error_class(name).ptr(), text(message).ptr());
}

// Raises an exception of this library, or of memory, in Python; rethrows any other.
void raise_own(const std::exception_ptr& pointer) {
  try {
    std::rethrow_exception(pointer);
  } catch (const Error& error) {
    set_error(error.name(), error.what());
  } catch (const std::bad_alloc&) {
    set_error("OutOfMemoryError", "the host is out of memory");
  } catch (const std::length_error&) {
    set_error("OutOfMemoryError", "the result does not fit in the memory of the host");
  }
}

py::str own_string(PyObject* string) {
  if (!string) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(string);
}

}  // namespace

py::str text(const std::string& bytes) {
  const auto length = static_cast<py::ssize_t>(bytes.size());
  return own_string(PyUnicode_DecodeUTF8(bytes.data(), length, "backslashreplace"));
}

py::str path_text(const std::string& path) {
  const auto length = static_cast<py::ssize_t>(path.size());
  return own_string(PyUnicode_DecodeFSDefaultAndSize(path.data(), length));
}

void check_array_size(const char* argument, const std::vector<py::ssize_t>& shape, size_t item) {
  auto bytes = static_cast<py::ssize_t>(item);
  for (const py::ssize_t length : shape) {
    if (!__builtin_mul_overflow(bytes, length, &bytes)) continue;
    throw OutOfMemoryError(std::string(argument) + ": the result does not fit in memory");
  }
}

void throw_too_large(const char* argument, const py::error_already_set& error) {
  if (!error.matches(PyExc_MemoryError)) throw error;
  throw OutOfMemoryError(std::string(argument) + ": the result does not fit in memory (" +
                         std::string(py::str(error.value())) + ")");
}

bool signal_raised() {
  const GilHeld held;
  return PyErr_CheckSignals() != 0;
}

py::object to_python(const std::exception_ptr& error) {
  try {
    raise_own(error);
  } catch (const std::exception& other) {
    return error_class("Error")(text(other.what()));
  }
  return py::error_already_set().value();
}

void bind_errors(py::module_&) {
  // NOLINTNEXTLINE(performance-unnecessary-value-param): the signature that pybind11 requires
  py::register_exception_translator([](std::exception_ptr pointer) {
    if (pointer) raise_own(pointer);
  });
}

}  // namespace zoo::python
