// Shared by the binding files, one per group; module.cc lists their functions.
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

// Lets Python handle signals while C++ waits: true when one raised an exception.
bool signal_raised();

// Calls body without the GIL; a KeyboardInterrupt raised meanwhile comes out as itself.
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

// For new_array: throw OutOfMemoryError where an array's bytes have no 63 bits, and for Python's
// MemoryError.
void check_array_size(const char* argument, const std::vector<py::ssize_t>& shape, size_t item);
[[noreturn]] void throw_too_large(const char* argument, const py::error_already_set& error);

// Text as Python has it. What is not valid UTF-8 (of a path, of another library's message) becomes
// \xNN: a message can always be printed.
py::str text(const std::string& bytes);

// A path as Python has it, which os.fsencode turns back into these bytes.
py::str path_text(const std::string& path);

// A new array; throws OutOfMemoryError, which names the argument that made it so large.
template <typename T>
py::array_t<T> new_array(const char* argument, const std::vector<py::ssize_t>& shape) {
  check_array_size(argument, shape, sizeof(T));
  try {
    return py::array_t<T>(shape);
  } catch (const py::error_already_set& error) {
    throw_too_large(argument, error);
  }
}

// n images in the engine's format: [n, H, W, C] uint8 or [n, C, H, W] float32; throws as new_array.
py::array empty_images(const char* argument, const ImageFormat& format,
                       std::vector<py::ssize_t> leading);

// What the classes of all roles have in common.
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
      // Whoever prepares a size holds a lock, and may wait for Python's.
      .def_property_readonly("peak_device_bytes", [](const Engine& self) {
        return without_gil([&] { return self.peak_device_bytes(); });
      });
  return bound;
}

}  // namespace zoo::python
