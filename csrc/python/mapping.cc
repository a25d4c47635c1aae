#include "zoo/mapping.h"

#include "python/bindings.h"

namespace zoo::python {
namespace {

py::array_t<float> map(const Mapping& self, const Floats& latents) {
  const auto n = static_cast<size_t>(latents.shape(0));
  py::array_t<float> styles({n, self.style_width()});
  float* out = styles.mutable_data();
  const float* in = latents.data();
  without_gil([&] { self.map(in, n, out, signal_raised); });
  return styles;
}

}  // namespace

void bind_mapping(py::module_& module) { bind_engine<Mapping>(module, "Mapping").def("map", &map); }

}  // namespace zoo::python
