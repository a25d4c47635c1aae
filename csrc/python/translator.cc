#include "zoo/translator.h"

#include "python/bindings.h"

namespace zoo::python {
namespace {

py::array translate(const Translator& self, const Levels& images) {
  const auto n = static_cast<size_t>(images.shape(0));
  const py::array translated = empty_images(self.manifest().image, {images.shape(0)});
  void* out = const_cast<void*>(translated.data());
  const void* in = images.data();
  without_gil([&] { self.translate(in, n, out, signal_raised); });
  return translated;
}

}  // namespace

void bind_translator(py::module_& module) {
  bind_engine<Translator>(module, "Translator").def("translate", &translate);
}

}  // namespace zoo::python
