#include "zoo/translator.h"

#include "python/bindings.h"

namespace zoo::python {
namespace {

py::array translate(const Translator& self, const Levels& images, const py::object& attributes,
                    uint64_t seed, uint64_t first) {
  TranslateRequest request;
  request.images = images.data();
  request.n = static_cast<size_t>(images.shape(0));
  request.seed = seed;
  request.first = first;
  Floats values;
  if (!attributes.is_none()) {
    values = attributes.cast<Floats>();
    request.attributes = values.data();
    request.shared = values.shape(0) == 1;
  }
  const py::array translated = empty_images(self.manifest().image, {images.shape(0)});
  void* out = const_cast<void*>(translated.data());
  without_gil([&] { self.translate(request, out, signal_raised); });
  return translated;
}

}  // namespace

void bind_translator(py::module_& module) {
  bind_engine<Translator>(module, "Translator")
      .def("translate", &translate, py::arg("images"), py::arg("attributes") = py::none(),
           py::arg("seed") = 0, py::arg("first") = 0);
}

}  // namespace zoo::python
