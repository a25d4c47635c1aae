// An engine file as a whole: its manifest, its graph, and the digest of both.
#pragma once

#include "format/file_contents.h"
#include "zoo/export.h"
#include "zoo/manifest.h"

namespace zoo {

// The manifest's field for the file's digest: BLAKE2b with 32 bytes, as 64 hexadecimal digits, of
// the file in which every occurrence of these digits is replaced by zeros. It detects damage
// anywhere in the file, the manifest included; it is not a signature. BLAKE2b needs 0.7 ms per
// megabyte in plain C++, Python has it too, and unlike a checksum it misses no damage.
constexpr const char* kDigestField = "file_blake2b";

// Implements Manifest::read.
Manifest read_manifest(const FileContents& file);

// Checks a file before it is passed to a library: that its ONNX graph is well-formed and matches
// the manifest (format/onnx_check.h, format/graph_check.h), and that the file has the digest in the
// manifest, if there is one. Throws EngineFileError.
void check_engine_file(const FileContents& file, const Manifest& manifest);

// Reads the manifest and checks the file.
ZOO_API Manifest read_checked(const std::string& path);

}  // namespace zoo
