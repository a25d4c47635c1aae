#include "format/engine_file.h"

#include <string_view>

#include "format/blake2b.h"
#include "format/graph_check.h"
#include "format/onnx_check.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

// Hashes the file with these digits replaced by zeros.
std::string digest_without(std::string_view text, const std::string& digits) {
  const std::string zeros(digits.size(), '0');
  Blake2b hash;
  size_t begin = 0;
  for (size_t end; (end = text.find(digits, begin)) != std::string_view::npos;) {
    hash.update(text.data() + begin, end - begin);
    hash.update(zeros.data(), zeros.size());
    begin = end + digits.size();
  }
  hash.update(text.data() + begin, text.size() - begin);
  return hash.hex_digest();
}

}  // namespace

void check_engine_file(const FileContents& file, const Manifest& manifest) {
  const std::string name = "engine file '" + file.path() + "'";
  if (manifest.plan.buckets.empty()) {
    OnnxModel model;
    try {
      model = parse_onnx(file.text());
      check_onnx(model);
    } catch (const EngineFileError& error) {
      throw EngineFileError(name + " cannot be used: " + error.what());
    }
    check_graph(file.path(), manifest, model);
  }
  const std::string& digest = manifest.file_blake2b;
  if (digest.empty() || digest_without(file.text(), digest) == digest) return;
  throw EngineFileError(name + " is damaged, or was changed after its export: its digest differs " +
                        "from " + kDigestField + " in its manifest");
}

Manifest read_checked(const std::string& path) {
  const FileContents file(path);
  Manifest manifest = read_manifest(file);
  check_engine_file(file, manifest);
  return manifest;
}

}  // namespace zoo
