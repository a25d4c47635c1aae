#include "zoo/encoder.h"

#include "python/arrays.h"

namespace zoo::python {
namespace {

// (mu, logvar), new arrays, or None where they are in `out`, and for a logvar that is not wanted.
// out: the places of mu and of logvar, in the same memory.
py::tuple encode(const Encoder& self, const py::object& images, bool want_logvar,
                 const py::object& mu_out, const py::object& logvar_out) {
  const Input<uint8_t> given(images);
  const size_t width = self.manifest().latent_width;
  const Target mu = float_target(mu_out, "images", given.rows, width);
  std::optional<Target> logvar;
  if (want_logvar) logvar.emplace(float_target(logvar_out, "images", given.rows, width));
  const Memories memory{given.memory, mu.memory};
  auto* const m = static_cast<float*>(mu.data);
  auto* const v = logvar ? static_cast<float*>(logvar->data) : nullptr;
  without_gil([&] { self.encode(given.data, given.rows, m, v, signal_raised, memory); });
  return py::make_tuple(mu.array(), logvar ? logvar->array() : py::none());
}

}  // namespace

void bind_encoder(py::module_& module) {
  bind_engine<Encoder>(module, "Encoder").def("encode", &encode);
}

}  // namespace zoo::python
