// Arrays of a call that are in the host's memory or in a device's.
#pragma once

#include <utility>

#include "python/bindings.h"

namespace zoo::python {

// Rows that go in: an array, or (address, rows) in the device's memory.
template <typename T>
class Input {
 public:
  explicit Input(const py::object& given) {
    if (py::isinstance<py::tuple>(given)) {
      const auto [address, count] = given.cast<std::pair<uintptr_t, size_t>>();
      data = reinterpret_cast<const T*>(address);
      rows = count;
      memory = Memory::kDevice;
    } else {
      host_ = given.cast<py::array_t<T, py::array::c_style>>();
      data = host_.data();
      rows = static_cast<size_t>(host_.shape(0));
    }
  }

  const T* data;
  size_t rows;
  Memory memory = Memory::kHost;

 private:
  py::array_t<T, py::array::c_style> host_;
};

// Where results go: (address, whether it is in the device's memory), or None for a new array.
class Target {
 public:
  // make(): the new array.
  template <typename Make>
  Target(const py::object& given, const Make& make) {
    if (given.is_none()) {
      const py::array made = make();
      data = const_cast<void*>(made.data());
      array_ = made;
      return;
    }
    const auto [address, on_device] = given.cast<std::pair<uintptr_t, bool>>();
    data = reinterpret_cast<void*>(address);
    memory = on_device ? Memory::kDevice : Memory::kHost;
  }

  // The new array, or None.
  const py::object& array() const { return array_; }

  void* data;
  Memory memory = Memory::kHost;

 private:
  py::object array_ = py::none();
};

// Of images, n of them or more: `leading` is their shape before that of one. argument: of the call,
// which says how many there are.
inline Target image_target(const py::object& given, const char* argument, const ImageFormat& format,
                           std::vector<py::ssize_t> leading) {
  return Target(given, [&] { return empty_images(argument, format, std::move(leading)); });
}

// Of rows of numbers.
inline Target float_target(const py::object& given, const char* argument, size_t rows,
                           size_t width) {
  return Target(given, [&] {
    return new_array<float>(argument,
                            {static_cast<py::ssize_t>(rows), static_cast<py::ssize_t>(width)});
  });
}

}  // namespace zoo::python
