// An engine file as a whole: its manifest, its graph, and the digest of both.
#pragma once

#include "format/mapped_file.h"
#include "zoo/export.h"
#include "zoo/manifest.h"

namespace zoo {

// Where a manifest has the digest of its file: BLAKE2b of 32 bytes, as 64 hexadecimal digits, of
// the file in which every occurrence of these digits is replaced by as many zeros. It tells of
// damage anywhere in the file, the manifest included; it is no signature, for whoever changes a
// file can make it anew. BLAKE2b needs 0.7 ms for a megabyte in plain C++, Python has it too, and
// unlike a checksum it leaves no damage unseen.
constexpr const char* kDigestField = "file_blake2b";

// The manifest of a file (Manifest::read).
Manifest read_manifest(const MappedFile& file);

// What a library may be given: an ONNX graph that is whole, has its weights with it and is what
// the manifest says (format/onnx_check.h, format/graph_check.h), and a file of the manifest's
// digest, if it has one. Throws EngineFileError.
void check_engine_file(const MappedFile& file, const Manifest& manifest);

// Both, for a path. Throws what they throw.
ZOO_API Manifest read_checked(const std::string& path);

}  // namespace zoo
