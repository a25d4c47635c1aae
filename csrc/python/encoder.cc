#include "zoo/encoder.h"

#include "python/bindings.h"

namespace zoo::python {
namespace {

py::tuple encode(const Encoder& self, const py::array_t<uint8_t, py::array::c_style>& images) {
  const auto n = static_cast<size_t>(images.shape(0));
  const size_t width = self.manifest().latent_width;
  py::array_t<float> mu({n, width});
  py::array_t<float> logvar({n, width});
  float* m = mu.mutable_data();
  float* v = logvar.mutable_data();
  const void* in = images.data();
  without_gil([&] { self.encode(in, n, m, v, signal_raised); });
  return py::make_tuple(mu, logvar);
}

}  // namespace

void bind_encoder(py::module_& module) {
  py::class_<Encoder>(module, "Encoder")
      .def(py::init([](const std::string& path, const std::string& device,
                       const std::string& backend, const std::string& precision, size_t instances) {
        const Options options = make_options(device, backend, precision, instances);
        return without_gil([&] { return std::make_unique<Encoder>(path, options); });
      }))
      .def_property_readonly("manifest_json",
                             [](const Encoder& self) { return self.manifest().json; })
      .def_property_readonly("latent_width",
                             [](const Encoder& self) { return self.manifest().latent_width; })
      .def_property_readonly("backend", &Encoder::backend)
      .def_property_readonly("instances", &Encoder::instances)
      .def("encode", &encode);
}

}  // namespace zoo::python
