#include "zoo/generator.h"

#include "python/bindings.h"

namespace zoo::python {
namespace {

// A batch of a stream: the array owns the memory that the engine wrote.
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
    if (!without_gil([&] { return stream_.next(&batch, signal_raised); })) {
      throw py::stop_iteration();
    }
    return adopt(format_, std::move(batch));
  }

  void close() {
    without_gil([&] { stream_.close(); });
  }

 private:
  Stream stream_;
  const ImageFormat format_;
};

py::array sample(const Generator& self, uint64_t n, uint64_t seed, uint64_t first, size_t batch,
                 const py::object& mu, const py::object& logvar) {
  SampleRequest request;
  request.n = n;
  request.seed = seed;
  request.first = first;
  request.batch = batch;
  Floats means;
  Floats logvars;
  if (!mu.is_none()) {
    means = mu.cast<Floats>();
    logvars = logvar.cast<Floats>();
    request.mu = means.data();
    request.logvar = logvars.data();
    request.shared = means.shape(0) == 1;
  }
  const py::array images = empty_images(self.manifest().image, {static_cast<py::ssize_t>(n)});
  void* out = const_cast<void*>(images.data());
  without_gil([&] { self.sample(request, out, signal_raised); });
  return images;
}

py::array decode(const Generator& self, const Floats& latents) {
  const auto n = static_cast<size_t>(latents.shape(0));
  const py::array images = empty_images(self.manifest().image, {latents.shape(0)});
  void* out = const_cast<void*>(images.data());
  const float* in = latents.data();
  without_gil([&] { self.decode(in, n, out, signal_raised); });
  return images;
}

py::array interpolate(const Generator& self, const Floats& a, const Floats& b, size_t steps,
                      bool spherical) {
  const auto rows = static_cast<size_t>(a.shape(0));
  const py::array images =
      empty_images(self.manifest().image, {a.shape(0), static_cast<py::ssize_t>(steps + 1)});
  void* out = const_cast<void*>(images.data());
  const float* pa = a.data();
  const float* pb = b.data();
  without_gil([&] { self.interpolate(pa, pb, rows, steps, spherical, out, signal_raised); });
  return images;
}

}  // namespace

py::array empty_images(const ImageFormat& format, std::vector<py::ssize_t> shape) {
  const auto h = static_cast<py::ssize_t>(format.height);
  const auto w = static_cast<py::ssize_t>(format.width);
  const auto c = static_cast<py::ssize_t>(format.channels);
  if (format.type == ImageType::kUint8) {
    shape.insert(shape.end(), {h, w, c});
    return py::array_t<uint8_t>(shape);
  }
  shape.insert(shape.end(), {c, h, w});
  return py::array_t<float>(shape);
}

void bind_generator(py::module_& module) {
  py::class_<PyStream>(module, "Stream")
      .def("next", &PyStream::next)
      .def("close", &PyStream::close);

  bind_engine<Generator>(module, "Generator")
      .def("sample", &sample)
      .def("decode", &decode)
      .def("interpolate", &interpolate)
      .def("stream",
           [](const Generator& self, uint64_t n, uint64_t seed, uint64_t first, size_t batch) {
             return std::make_unique<PyStream>(self.stream(n, seed, first, batch),
                                               self.manifest().image);
           });
}

}  // namespace zoo::python
