#include "zoo/translator.h"

#include "python/arrays.h"

namespace zoo::python {
namespace {

py::object translate(const Translator& self, const py::object& images, const py::object& attributes,
                     uint64_t seed, uint64_t first, const py::object& keys, const py::object& out) {
  const Input<uint8_t> input(images);
  TranslateRequest request;
  request.images = input.data;
  request.n = input.rows;
  request.seed = seed;
  request.first = first;
  const Keys kept = read_keys(keys, &request);
  Floats values;
  if (!attributes.is_none()) {
    values = attributes.cast<Floats>();
    request.attributes = values.data();
    request.shared = values.shape(0) == 1;
  }
  const Target target =
      image_target(out, "images", self.manifest().image, {static_cast<py::ssize_t>(input.rows)});
  request.memory = {input.memory, target.memory};
  without_gil([&] { self.translate(request, target.data, signal_raised); });
  return target.array();
}

}  // namespace

void bind_translator(py::module_& module) {
  bind_engine<Translator>(module, "Translator")
      .def("translate", &translate, py::arg("images"), py::arg("attributes") = py::none(),
           py::arg("seed") = 0, py::arg("first") = 0, py::arg("keys") = py::none(),
           py::arg("out") = py::none());
}

}  // namespace zoo::python
