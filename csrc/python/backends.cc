#include "backends/native/kernels.h"
#include "backends/registry.h"
#include "base/library.h"
#include "core/instance_pool.h"
#include "python/bindings.h"
#include "zoo/layers.h"

namespace zoo::python {

void bind_backends(py::module_& module) {
  module.def("backend_names", &backend_names);
  module.def("backend_version", [](const std::string& name) {
    return text(without_gil([&] { return backend_version(name); }));
  });
  module.def("native_isas", [](const std::string& precision) {
    std::vector<std::string> names;
    for (const native::Kernels* kernels : native::supported_kernels(precision)) {
      names.emplace_back(kernels->isa);
    }
    return names;
  });
  module.def("use_native_isa", &native::use_kernels);
  module.def("measure_layers", [](const std::string& path, const std::string& backend,
                                  const std::string& precision, size_t batch, double seconds) {
    Options options;
    options.backend = backend;
    options.precision = precision;
    const LayerTimes times =
        without_gil([&] { return measure_layers(path, options, batch, seconds); });
    py::list layers;
    for (const LayerTime& layer : times.layers) {
      layers.append(py::make_tuple(text(layer.name), layer.kind, text(layer.kernel),
                                   layer.operations, layer.seconds));
    }
    return py::make_tuple(times.isa, times.ceiling, layers);
  });
  module.def("add_search_folder", &add_search_folder);
  module.def("own_library", [] { return path_text(own_library()); });
  module.def("own_folder", [] { return path_text(own_folder()); });
  // Called when Python begins to exit (runtime/_library.py).
  module.def("stop_pools", [] { without_gil(&InstancePool::stop_all); });
}

}  // namespace zoo::python
