#include "zoo/encoder.h"

#include "python/bindings.h"

namespace zoo::python {
namespace {

// (mu, logvar), the latter None where it is not wanted.
py::tuple encode(const Encoder& self, const Levels& images, bool want_logvar) {
  const auto n = static_cast<size_t>(images.shape(0));
  const size_t width = self.manifest().latent_width;
  py::array_t<float> mu({n, width});
  py::object logvar = py::none();
  float* v = nullptr;
  if (want_logvar) {
    py::array_t<float> values({n, width});
    v = values.mutable_data();
    logvar = std::move(values);
  }
  float* m = mu.mutable_data();
  const void* in = images.data();
  without_gil([&] { self.encode(in, n, m, v, signal_raised); });
  return py::make_tuple(mu, logvar);
}

}  // namespace

void bind_encoder(py::module_& module) {
  bind_engine<Encoder>(module, "Encoder").def("encode", &encode);
}

}  // namespace zoo::python
