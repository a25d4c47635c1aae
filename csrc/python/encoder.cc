#include "zoo/encoder.h"

#include "python/arrays.h"

namespace zoo::python {
namespace {

// Returns (mu, logvar): new arrays, or None for one that is written to its `out` and for logvar
// without with_logvar. Both `out` must be in the same memory.
py::tuple encode(const Encoder& self, const py::object& images, bool with_logvar,
                 const py::object& mu_out, const py::object& logvar_out) {
  const Input<uint8_t> input(images);
  const size_t width = self.manifest().latent_width;
  const Target mu = float_target(mu_out, "images", input.rows, width);
  std::optional<Target> logvar;
  if (with_logvar) logvar.emplace(float_target(logvar_out, "images", input.rows, width));
  const Memories memory{input.memory, mu.memory};
  auto* const m = static_cast<float*>(mu.data);
  auto* const v = logvar ? static_cast<float*>(logvar->data) : nullptr;
  without_gil([&] { self.encode(input.data, input.rows, m, v, signal_raised, memory); });
  return py::make_tuple(mu.array(), logvar ? logvar->array() : py::none());
}

}  // namespace

void bind_encoder(py::module_& module) {
  bind_engine<Encoder>(module, "Encoder").def("encode", &encode);
}

}  // namespace zoo::python
