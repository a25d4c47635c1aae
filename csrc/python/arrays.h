// Inputs and outputs of calls from Python, in host or device memory.
#pragma once

#include <utility>

#include "python/bindings.h"

namespace zoo::python {

// Rows of an input: an array, or (address, rows) in device memory.
template <typename T>
class Input {
 public:
  explicit Input(const py::object& source) {
    if (py::isinstance<py::tuple>(source)) {
      const auto [address, count] = source.cast<std::pair<uintptr_t, size_t>>();
      data = reinterpret_cast<const T*>(address);
      rows = count;
      memory = Memory::kDevice;
    } else {
      host_ = source.cast<py::array_t<T, py::array::c_style>>();
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

// Reads keys [n, 2] of samples, or None. The returned array keeps them alive.
using Keys = py::array_t<uint64_t, py::array::c_style>;

template <typename Request>
Keys read_keys(const py::object& keys, Request* request) {
  if (keys.is_none()) return {};
  auto values = keys.cast<Keys>();
  static_assert(sizeof(SampleKey) == 2 * sizeof(uint64_t));
  request->keys = reinterpret_cast<const SampleKey*>(values.data());
  return values;
}

// Destination of an output: an array, (address, whether it is in device memory), or None for a new
// array. The caller has checked the array.
class Target {
 public:
  // make(): creates the new array.
  template <typename Make>
  Target(const py::object& out, const Make& make) {
    if (out.is_none()) {
      const py::array array = make();
      data = const_cast<void*>(array.data());
      array_ = array;
      return;
    }
    if (py::isinstance<py::array>(out)) {
      data = py::reinterpret_borrow<py::array>(out).mutable_data();
      array_ = out;
      return;
    }
    const auto [address, on_device] = out.cast<std::pair<uintptr_t, bool>>();
    data = reinterpret_cast<void*>(address);
    memory = on_device ? Memory::kDevice : Memory::kHost;
  }

  // Returns the array, or None.
  const py::object& array() const { return array_; }

  void* data;
  Memory memory = Memory::kHost;

 private:
  py::object array_ = py::none();
};

// Destination of images. leading: their axes before those of one image. argument: the one that
// determines their number, for messages.
inline Target image_target(const py::object& out, const char* argument, const ImageFormat& format,
                           std::vector<py::ssize_t> leading) {
  return Target(out, [&] { return empty_images(argument, format, std::move(leading)); });
}

// Destination of floats [rows, width].
inline Target float_target(const py::object& out, const char* argument, size_t rows, size_t width) {
  return Target(out, [&] {
    return new_array<float>(argument,
                            {static_cast<py::ssize_t>(rows), static_cast<py::ssize_t>(width)});
  });
}

}  // namespace zoo::python
