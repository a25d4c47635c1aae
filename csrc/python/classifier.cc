#include "zoo/classifier.h"

#include "python/bindings.h"

namespace zoo::python {
namespace {

py::array_t<float> classify(const Classifier& self, const Levels& images) {
  const auto n = static_cast<size_t>(images.shape(0));
  py::array_t<float> scores({n, self.manifest().score_names.size()});
  float* out = scores.mutable_data();
  const void* in = images.data();
  without_gil([&] { self.classify(in, n, out, signal_raised); });
  return scores;
}

}  // namespace

void bind_classifier(py::module_& module) {
  bind_engine<Classifier>(module, "Classifier").def("classify", &classify);
}

}  // namespace zoo::python
