#include "zoo/mapping.h"

#include "python/arrays.h"

namespace zoo::python {
namespace {

py::object map(const Mapping& self, const py::object& latents, const py::object& out) {
  const Input<float> input(latents);
  const Target target = float_target(out, "latents", input.rows, self.style_width());
  const Memories memory{input.memory, target.memory};
  auto* const styles = static_cast<float*>(target.data);
  without_gil([&] { self.map(input.data, input.rows, styles, signal_raised, memory); });
  return target.array();
}

}  // namespace

void bind_mapping(py::module_& module) { bind_engine<Mapping>(module, "Mapping").def("map", &map); }

}  // namespace zoo::python
