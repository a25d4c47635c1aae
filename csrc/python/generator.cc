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

// The request's labels, which `labels` keeps alive; None: the request's own default.
template <typename Request>
Labels set_labels(const py::object& labels, Request* request) {
  if (labels.is_none()) return {};
  auto values = labels.cast<Labels>();
  request->labels = values.data();
  request->label_count = static_cast<size_t>(values.size());
  return values;
}

py::array sample(const Generator& self, uint64_t n, uint64_t seed, uint64_t first, size_t batch,
                 const py::object& mu, const py::object& logvar, const py::object& labels,
                 bool cycle, float truncation, float noise) {
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
  const Labels classes = set_labels(labels, &request);
  request.cycle = cycle;
  request.truncation = truncation;
  request.noise = noise;
  const py::array images = empty_images(self.manifest().image, {static_cast<py::ssize_t>(n)});
  void* out = const_cast<void*>(images.data());
  without_gil([&] { self.sample(request, out, signal_raised); });
  return images;
}

py::array decode(const Generator& self, const Floats& latents, const std::optional<uint64_t>& seed,
                 uint64_t first, const py::object& labels, float truncation) {
  DecodeRequest request;
  request.latents = latents.data();
  request.n = static_cast<size_t>(latents.shape(0));
  request.seed = seed;
  request.first = first;
  const Labels classes = set_labels(labels, &request);
  request.truncation = truncation;
  const py::array images = empty_images(self.manifest().image, {latents.shape(0)});
  void* out = const_cast<void*>(images.data());
  without_gil([&] { self.decode(request, out, signal_raised); });
  return images;
}

py::array interpolate(const Generator& self, const Floats& a, const Floats& b, size_t steps,
                      bool spherical, const py::object& labels, float truncation) {
  InterpolateRequest request;
  request.a = a.data();
  request.b = b.data();
  request.rows = static_cast<size_t>(a.shape(0));
  request.steps = steps;
  request.spherical = spherical;
  const Labels classes = set_labels(labels, &request);
  request.truncation = truncation;
  const py::array images =
      empty_images(self.manifest().image, {a.shape(0), static_cast<py::ssize_t>(steps + 1)});
  void* out = const_cast<void*>(images.data());
  without_gil([&] { self.interpolate(request, out, signal_raised); });
  return images;
}

std::unique_ptr<PyStream> stream(const Generator& self, uint64_t n, uint64_t seed, uint64_t first,
                                 size_t batch, const py::object& labels, bool cycle,
                                 float truncation, float noise) {
  SampleRequest request;
  request.n = n;
  request.seed = seed;
  request.first = first;
  request.batch = batch;
  const Labels classes = set_labels(labels, &request);
  request.cycle = cycle;
  request.truncation = truncation;
  request.noise = noise;
  return std::make_unique<PyStream>(self.stream(request), self.manifest().image);
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
  py::class_<PyStream>(module, "Stream", py::release_gil_before_calling_cpp_dtor())
      .def("next", &PyStream::next)
      .def("close", &PyStream::close);

  using py::literals::operator""_a;
  const py::none none;
  bind_engine<Generator>(module, "Generator")
      .def("sample", &sample, "n"_a, "seed"_a, "first"_a, "batch"_a, "mu"_a, "logvar"_a,
           "labels"_a = none, "cycle"_a = false, "truncation"_a = 1.0f, "noise"_a = 1.0f)
      .def("decode", &decode, "latents"_a, "seed"_a = none, "first"_a = 0, "labels"_a = none,
           "truncation"_a = 1.0f)
      .def("interpolate", &interpolate, "a"_a, "b"_a, "steps"_a, "spherical"_a, "labels"_a = none,
           "truncation"_a = 1.0f)
      .def("stream", &stream, "n"_a, "seed"_a, "first"_a, "batch"_a, "labels"_a = none,
           "cycle"_a = false, "truncation"_a = 1.0f, "noise"_a = 1.0f);
}

}  // namespace zoo::python
