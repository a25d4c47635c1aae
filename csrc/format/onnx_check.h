// What an ONNX graph must be before a library gets it: libraries take it for granted, and hang or
// end the process where it is not so.
#pragma once

#include "format/onnx_graph.h"

namespace zoo {

// Versions of operators are in use, nodes have the operands that their operators cannot do
// without, names are defined once and before they are used, and no function calls itself.
// Throws EngineFileError, without the file's name.
void check_onnx(const OnnxModel& model);

}  // namespace zoo
