#include "python/bindings.h"

namespace zoo::python {

void bind_errors(py::module_& module);
void bind_manifest(py::module_& module);
void bind_backends(py::module_& module);
void bind_ops(py::module_& module);
void bind_cuda(py::module_& module);
void bind_plans(py::module_& module);
void bind_device_arrays(py::module_& module);
void bind_generator(py::module_& module);
void bind_batcher(py::module_& module);
void bind_encoder(py::module_& module);
void bind_mapping(py::module_& module);
void bind_translator(py::module_& module);
void bind_classifier(py::module_& module);

}  // namespace zoo::python

PYBIND11_MODULE(_runtime, module) {
  module.doc() = "Compiled half of the runtime package; use runtime, not this.";
  module.attr("__version__") = ZOO_VERSION;
  zoo::python::bind_errors(module);
  zoo::python::bind_manifest(module);
  zoo::python::bind_backends(module);
  zoo::python::bind_ops(module);
  zoo::python::bind_cuda(module);
  zoo::python::bind_plans(module);
  zoo::python::bind_device_arrays(module);
  zoo::python::bind_generator(module);
  zoo::python::bind_batcher(module);
  zoo::python::bind_encoder(module);
  zoo::python::bind_mapping(module);
  zoo::python::bind_translator(module);
  zoo::python::bind_classifier(module);
}
