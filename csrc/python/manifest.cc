#include "format/engine_file.h"
#include "python/bindings.h"

namespace zoo::python {

void bind_manifest(py::module_& module) {
  module.attr("MANIFEST_SCHEMA") = kManifestSchema;
  module.attr("MANIFEST_KEY") = kManifestKey;
  module.def("read_checked_manifest", [](const std::string& path) {
    return text(without_gil([&] { return read_checked(path); }).json);
  });
  module.def("read_manifest", [](const std::string& path) {
    return text(without_gil([&] { return Manifest::read(path); }).json);
  });
  module.def("check_manifest",
             [](const std::string& json) { without_gil([&] { Manifest::parse(json); }); });
}

}  // namespace zoo::python
