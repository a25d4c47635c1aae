// Checks of an ONNX graph before it is passed to a library: malformed graphs can make libraries
// hang or crash.
#pragma once

#include "format/onnx_graph.h"

namespace zoo {

// Checks that operator versions are known, nodes have their required operands, names are defined
// once and before their use, and no function calls itself. Throws EngineFileError without the
// file's name.
void check_onnx(const OnnxModel& model);

}  // namespace zoo
