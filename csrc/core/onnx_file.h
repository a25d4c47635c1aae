// The outer layer of an ONNX file: enough to find its metadata, without protobuf.
#pragma once

#include <string>

namespace zoo {

// The text under kManifestKey in the file's metadata_props. Walks the top-level
// fields of ModelProto (onnx.proto) and skips the graph, so the cost does not
// depend on the size of the weights. Throws EngineNotFoundError,
// EngineFileError (empty, truncated, not ONNX), NotAnEngineError and, for a
// TensorRT plan, DeviceUnavailableError.
std::string read_onnx_manifest(const std::string& path);

}  // namespace zoo
