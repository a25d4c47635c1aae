// The outer layer of an ONNX file: enough to find its metadata, without protobuf.
#pragma once

#include <string>

#include "format/file_contents.h"

namespace zoo {

// Returns the text under kManifestKey in the file's metadata_props. Walks the top-level fields of
// ModelProto (onnx.proto) and skips the graph, so the cost does not depend on the size of the
// weights. Throws EngineFileError (truncated, not ONNX) and NotAnEngineError.
std::string read_onnx_manifest(const FileContents& file);

}  // namespace zoo
