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
  bind_engine<Encoder>(module, "Encoder").def("encode", &encode);
}

}  // namespace zoo::python
