// An engine file's graph beside its manifest.
#pragma once

#include <string>

#include "format/onnx_graph.h"
#include "zoo/manifest.h"

namespace zoo {

// Inputs, outputs, noise streams and the number of classes are the same in both, of the roles that
// the runtime runs. Throws EngineFileError that names the file.
void check_graph(const std::string& path, const Manifest& manifest, const OnnxModel& model);

}  // namespace zoo
