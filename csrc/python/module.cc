#include "python/bindings.h"

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
  zoo::python::bind_encoder(module);
  zoo::python::bind_mapping(module);
  zoo::python::bind_translator(module);
  zoo::python::bind_classifier(module);
}
