#include "zoo/generator.h"

#include <optional>

#include "python/arrays.h"

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
    if (kept_) {
      batch = std::move(*kept_);
      kept_.reset();
    } else if (!without_gil([&] { return stream_.next(&batch, signal_raised); })) {
      throw py::stop_iteration();
    }
    // Python looks for signals when this returns, and would drop what it has just been given.
    if (PyErr_CheckSignals() != 0) {
      kept_ = std::move(batch);
      throw py::error_already_set();
    }
    return adopt(format_, std::move(batch));
  }

  void close() {
    without_gil([&] { stream_.close(); });
    kept_.reset();
  }

 private:
  Stream stream_;
  const ImageFormat format_;
  std::optional<Stream::Batch> kept_;  // for the next call; guarded by Python's lock
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

py::object sample(const Generator& self, uint64_t n, uint64_t seed, uint64_t first, size_t batch,
                  const py::object& mu, const py::object& logvar, const py::object& labels,
                  bool cycle, float truncation, float noise, const py::object& out) {
  SampleRequest request;
  request.n = n;
  request.seed = seed;
  request.first = first;
  request.batch = batch;
  std::optional<Input<float>> means;
  std::optional<Input<float>> logvars;
  if (!mu.is_none()) {
    means.emplace(mu);
    logvars.emplace(logvar);
    request.mu = means->data;
    request.logvar = logvars->data;
    request.latent_memory = means->memory;
    request.shared = means->memory == Memory::kHost && means->rows == 1;
  }
  const Labels classes = set_labels(labels, &request);
  request.cycle = cycle;
  request.truncation = truncation;
  request.noise = noise;
  const Target target =
      image_target(out, "n", self.manifest().image, {static_cast<py::ssize_t>(n)});
  request.image_memory = target.memory;
  without_gil([&] { self.sample(request, target.data, signal_raised); });
  return target.array();
}

py::object decode(const Generator& self, const py::object& latents,
                  const std::optional<uint64_t>& seed, uint64_t first, const py::object& labels,
                  float truncation, const py::object& out) {
  const Input<float> given(latents);
  DecodeRequest request;
  request.latents = given.data;
  request.n = given.rows;
  request.latent_memory = given.memory;
  request.seed = seed;
  request.first = first;
  const Labels classes = set_labels(labels, &request);
  request.truncation = truncation;
  const Target target =
      image_target(out, "latents", self.manifest().image, {static_cast<py::ssize_t>(given.rows)});
  request.image_memory = target.memory;
  without_gil([&] { self.decode(request, target.data, signal_raised); });
  return target.array();
}

py::object interpolate(const Generator& self, const Floats& a, const Floats& b, size_t steps,
                       bool spherical, const py::object& labels, float truncation,
                       const py::object& out) {
  InterpolateRequest request;
  request.a = a.data();
  request.b = b.data();
  request.rows = static_cast<size_t>(a.shape(0));
  request.steps = steps;
  request.spherical = spherical;
  const Labels classes = set_labels(labels, &request);
  request.truncation = truncation;
  const Target target = image_target(out, "steps", self.manifest().image,
                                     {a.shape(0), static_cast<py::ssize_t>(steps + 1)});
  request.image_memory = target.memory;
  without_gil([&] { self.interpolate(request, target.data, signal_raised); });
  return target.array();
}

Owned<PyStream> stream(const Generator& self, uint64_t n, uint64_t seed, uint64_t first,
                       size_t batch, const py::object& labels, bool cycle, float truncation,
                       float noise) {
  SampleRequest request;
  request.n = n;
  request.seed = seed;
  request.first = first;
  request.batch = batch;
  const Labels classes = set_labels(labels, &request);
  request.cycle = cycle;
  request.truncation = truncation;
  request.noise = noise;
  // It prepares what it needs: a plan's size by a loader in Python, in OpenVINO for seconds.
  return without_gil(
      [&] { return Owned<PyStream>(new PyStream(self.stream(request), self.manifest().image)); });
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

  using py::literals::operator""_a;
  const py::none none;
  bind_engine<Generator>(module, "Generator")
      .def("sample", &sample, "n"_a, "seed"_a, "first"_a, "batch"_a, "mu"_a, "logvar"_a,
           "labels"_a = none, "cycle"_a = false, "truncation"_a = 1.0f, "noise"_a = 1.0f,
           "out"_a = none)
      .def("decode", &decode, "latents"_a, "seed"_a = none, "first"_a = 0, "labels"_a = none,
           "truncation"_a = 1.0f, "out"_a = none)
      .def("interpolate", &interpolate, "a"_a, "b"_a, "steps"_a, "spherical"_a, "labels"_a = none,
           "truncation"_a = 1.0f, "out"_a = none)
      .def("stream", &stream, "n"_a, "seed"_a, "first"_a, "batch"_a, "labels"_a = none,
           "cycle"_a = false, "truncation"_a = 1.0f, "noise"_a = 1.0f);
}

}  // namespace zoo::python
