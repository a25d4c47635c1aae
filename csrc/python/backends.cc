#include "backends/library.h"
#include "backends/native/kernels.h"
#include "backends/registry.h"
#include "python/bindings.h"

namespace zoo::python {

void bind_backends(py::module_& module) {
  module.def("backend_names", &backend_names);
  module.def("backend_version", &backend_version);
  module.def("native_isas", [](const std::string& precision) {
    std::vector<std::string> names;
    for (const native::Kernels* kernels : native::supported_kernels(precision)) {
      names.emplace_back(kernels->isa);
    }
    return names;
  });
  module.def("use_native_isa", &native::use_kernels);
  module.def("add_search_folder", &add_search_folder);
  module.def("own_folder", &own_folder);
}

}  // namespace zoo::python
