#include "zoo/classifier.h"

#include "python/arrays.h"

namespace zoo::python {
namespace {

py::object classify(const Classifier& self, const py::object& images, const py::object& out) {
  const Input<uint8_t> input(images);
  const Target target = float_target(out, "images", input.rows, self.manifest().score_names.size());
  const Memories memory{input.memory, target.memory};
  auto* const scores = static_cast<float*>(target.data);
  without_gil([&] { self.classify(input.data, input.rows, scores, signal_raised, memory); });
  return target.array();
}

}  // namespace

void bind_classifier(py::module_& module) {
  bind_engine<Classifier>(module, "Classifier").def("classify", &classify);
}

}  // namespace zoo::python
