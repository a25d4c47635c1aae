// Helpers shared by the binding sources, one per group; module.cc lists their functions.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "python/gil.h"
#include "zoo/engine.h"
#include "zoo/options.h"

namespace zoo::python {

namespace py = pybind11;

using Floats = py::array_t<float, py::array::c_style>;
using Labels = py::array_t<int64_t, py::array::c_style>;

// Lets Python handle signals while C++ waits. Returns true if a handler raised an exception.
bool signal_raised();

// Calls body without the GIL. If a signal handler raised an exception meanwhile, rethrows that.
template <typename Body>
auto without_gil(const Body& body) {
  try {
    const GilReleased released;
    return body();
  } catch (const CancelledError&) {
    if (PyErr_Occurred()) throw py::error_already_set();
    throw;
  }
}

// Returns an exception of this library as the one that Python raises for it.
py::object to_python(const std::exception_ptr& error);

// For new_array: throw OutOfMemoryError if the size of an array overflows, and for Python's
// MemoryError.
void check_array_size(const char* argument, const std::vector<py::ssize_t>& shape, size_t item);
[[noreturn]] void throw_too_large(const char* argument, const py::error_already_set& error);

// Decodes text. Bytes that are not valid UTF-8 (from paths, or messages of other libraries) become
// \xNN, so that a message can always be printed.
py::str text(const std::string& bytes);

// Decodes a path such that os.fsencode returns these bytes.
py::str path_text(const std::string& path);

// Creates an array. Throws OutOfMemoryError that names the argument on which its size depends.
template <typename T>
py::array_t<T> new_array(const char* argument, const std::vector<py::ssize_t>& shape) {
  check_array_size(argument, shape, sizeof(T));
  try {
    return py::array_t<T>(shape);
  } catch (const py::error_already_set& error) {
    throw_too_large(argument, error);
  }
}

// Creates images of shape [leading..., H, W, C] uint8 or [leading..., C, H, W] float32. Throws as
// new_array.
py::array empty_images(const char* argument, const ImageFormat& format,
                       std::vector<py::ssize_t> leading);

// Binds the class of a role, with the members that all roles have.
template <typename Engine>
py::class_<Engine, Owned<Engine>> bind_engine(py::module_& module, const char* name) {
  const auto make = [](const std::string& path, const std::string& device,
                       const std::string& backend, const std::string& precision, size_t instances,
                       size_t bucket) {
    const Options options{device, backend, precision, instances, bucket};
    return without_gil([&] { return Owned<Engine>(new Engine(path, options)); });
  };
  py::class_<Engine, Owned<Engine>> bound(module, name);
  bound.def(py::init(make))
      .def_property_readonly("manifest_json",
                             [](const Engine& self) { return text(self.manifest().json); })
      .def_property_readonly("backend", &Engine::backend)
      .def_property_readonly("instances", &Engine::instances)
      .def_property_readonly("device", &Engine::device)
      // Without the GIL: a thread that prepares a size holds a lock and may wait for the GIL.
      .def_property_readonly("peak_device_bytes", [](const Engine& self) {
        return without_gil([&] { return self.peak_device_bytes(); });
      });
  return bound;
}

}  // namespace zoo::python
