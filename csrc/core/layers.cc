#include "zoo/layers.h"

#include "core/engine.h"
#include "core/random_rows.h"
#include "format/roles.h"
#include "format/tensors.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

std::vector<std::string> runnable_roles() {
  std::vector<std::string> names;
  for (const Role& role : kRoles) {
    if (role.has(kRuns)) names.emplace_back(role.name);
  }
  return names;
}

}  // namespace

LayerTimes measure_layers(const std::string& path, const Options& options, size_t batch,
                          double seconds) {
  Options one = options;
  if (one.backend == "auto") one.backend = "native";
  one.instances = 1;
  Engine engine(path, one, runnable_roles());
  const Manifest& manifest = engine.manifest();
  if (batch < 1 || batch > manifest.batch_max) {
    throw ArgumentError("batch: expected 1 to " + std::to_string(manifest.batch_max) + ", got " +
                        std::to_string(batch));
  }
  std::vector<RowBytes> memory;
  RunArguments arguments;
  arguments.rows = batch;
  uint32_t stream = 0;
  for (const std::string& name : input_names(manifest, /*draws=*/false)) {
    memory.push_back(random_rows(name, manifest, batch, stream++));
    arguments.inputs.push_back({name, memory.back().data()});
  }
  for (const std::string& name : output_names(manifest)) {
    memory.emplace_back(tensor_info(name, manifest, batch).bytes());
    arguments.outputs.push_back({name, memory.back().data()});
  }
  return engine.backend().measure_layers(arguments, seconds);
}

}  // namespace zoo
