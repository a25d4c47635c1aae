#include "zoo/generator.h"

#include <optional>

#include "python/requests.h"

namespace zoo::python {
namespace {

// Returns a batch of a stream as an array that owns its memory.
py::array adopt(const ImageFormat& format, Stream::Batch batch) {
  unsigned char* data = batch.images.release();
  const py::capsule owner(data, [](void* p) { delete[] static_cast<unsigned char*>(p); });
  const auto n = static_cast<py::ssize_t>(batch.rows);
  const auto h = static_cast<py::ssize_t>(format.height);
  const auto w = static_cast<py::ssize_t>(format.width);
  const auto c = static_cast<py::ssize_t>(format.channels);
  if (format.type == ImageType::kUint8) return py::array_t<uint8_t>({n, h, w, c}, data, owner);
  return py::array_t<float>({n, c, h, w}, reinterpret_cast<float*>(data), owner);
}

class PyStream {
 public:
  PyStream(Stream stream, ImageFormat format) : stream_(std::move(stream)), format_(format) {}

  py::object next() {
    Stream::Batch batch;
    if (pending_) {
      batch = std::move(*pending_);
      pending_.reset();
    } else if (!without_gil([&] { return stream_.next(&batch, signal_raised); })) {
      throw py::stop_iteration();
    }
    // Python handles signals when this returns, and would lose the batch if one raises.
    if (PyErr_CheckSignals() != 0) {
      pending_ = std::move(batch);
      throw py::error_already_set();
    }
    return adopt(format_, std::move(batch));
  }

  void close() {
    without_gil([&] { stream_.close(); });
    pending_.reset();
  }

 private:
  Stream stream_;
  const ImageFormat format_;
  std::optional<Stream::Batch> pending_;  // for the next call; guarded by the GIL
};

py::object sample(const Generator& self, const py::object& from, const py::object& out) {
  ParsedSample parsed(from);
  SampleRequest& request = parsed.request;
  const Target target =
      image_target(out, "n", self.manifest().image, {static_cast<py::ssize_t>(request.n)});
  request.image_memory = target.memory;
  without_gil([&] { self.sample(request, target.data, signal_raised); });
  return target.array();
}

py::object decode(const Generator& self, const py::object& from, const py::object& out) {
  ParsedDecode parsed(from);
  DecodeRequest& request = parsed.request;
  const Target target =
      image_target(out, "latents", self.manifest().image, {static_cast<py::ssize_t>(request.n)});
  request.image_memory = target.memory;
  without_gil([&] { self.decode(request, target.data, signal_raised); });
  return target.array();
}

py::object interpolate(const Generator& self, const py::object& from, const py::object& out) {
  const auto a = field<Floats>(from, "a");
  const auto b = field<Floats>(from, "b");
  InterpolateRequest request;
  request.a = a.data();
  request.b = b.data();
  request.rows = static_cast<size_t>(a.shape(0));
  request.steps = field<size_t>(from, "steps");
  request.spherical = field<bool>(from, "mode");
  request.truncation = field<float>(from, "truncation");
  const Labels labels = read_labels(from, &request);
  const Target target = image_target(out, "steps", self.manifest().image,
                                     {a.shape(0), static_cast<py::ssize_t>(request.steps + 1)});
  request.image_memory = target.memory;
  without_gil([&] { self.interpolate(request, target.data, signal_raised); });
  return target.array();
}

Owned<PyStream> stream(const Generator& self, const py::object& from) {
  const ParsedSample parsed(from);
  // Without the GIL: this may compile a graph for seconds, or call a plan loader in Python.
  return without_gil([&] {
    return Owned<PyStream>(new PyStream(self.stream(parsed.request), self.manifest().image));
  });
}

}  // namespace

py::array empty_images(const char* argument, const ImageFormat& format,
                       std::vector<py::ssize_t> shape) {
  const auto h = static_cast<py::ssize_t>(format.height);
  const auto w = static_cast<py::ssize_t>(format.width);
  const auto c = static_cast<py::ssize_t>(format.channels);
  if (format.type == ImageType::kUint8) {
    shape.insert(shape.end(), {h, w, c});
    return new_array<uint8_t>(argument, shape);
  }
  shape.insert(shape.end(), {c, h, w});
  return new_array<float>(argument, shape);
}

void bind_generator(py::module_& module) {
  py::class_<PyStream, Owned<PyStream>>(module, "Stream")
      .def("next", &PyStream::next)
      .def("close", &PyStream::close);

  bind_engine<Generator>(module, "Generator")
      .def("sample", &sample)
      .def("decode", &decode)
      .def("interpolate", &interpolate)
      .def("stream", &stream);
}

}  // namespace zoo::python
