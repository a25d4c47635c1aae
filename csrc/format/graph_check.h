// Checks of an engine file's graph against its manifest.
#pragma once

#include <string>

#include "format/onnx_graph.h"
#include "zoo/manifest.h"

namespace zoo {

// Checks that graph and manifest agree on inputs, outputs, noise streams and the number of classes,
// for the roles that the runtime runs. Throws EngineFileError that names the file.
void check_graph(const std::string& path, const Manifest& manifest, const OnnxModel& model);

}  // namespace zoo
