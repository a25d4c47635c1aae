// Reading of plan files, whole and damaged, without a GPU or TensorRT. The files are made here.

#include "format/plan_file.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "tests/check.h"
#include "zoo/engine.h"

namespace {

const std::string kDocument = R"({"schema": 1, "model": "small", "role": "classifier",
  "image": {"height": 2, "width": 2, "channels": 1, "dtype": "uint8", "layout": "NHWC",
            "range": [0, 255]},
  "scores": {"names": ["{\"}", "b\\"], "kind": "classes"},
  "precision": "fp16", "batch": {"min": 1, "max": 64}, "versions": {"zoo": "0"},
  "plan": {"target": "tensorrt-rtx", "tensorrt": "1.7", "buckets": [1, 64], "fp32_layers": [],
           "inputs": [{"name": "image", "dtype": "uint8", "shape": ["N", 2, 2, 1]}],
           "outputs": [{"name": "scores", "dtype": "float32", "shape": ["N", 2]}]}})";

std::string little_endian(uint64_t value) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  return bytes;
}

// Creates a plan whose header has a length that is `missing` bytes too large.
std::string make_plan(const std::string& name, int64_t missing = 0,
                      const std::string& magic = "vtrt") {
  const std::string body = std::string(40, '\0') + name + std::string(300, '\x7b');
  return magic + std::string(4, '\0') + little_endian(2) +
         little_endian(24 + body.size() + static_cast<uint64_t>(missing)) + body;
}

std::string replace(std::string text, const std::string& part, const std::string& by) {
  const auto position = text.find(part);
  CHECK(position != std::string::npos);
  return text.replace(position, part.size(), by);
}

class Files {
 public:
  Files() {
    char name[] = "/tmp/zoo-plan-XXXXXX";
    folder_ = ::mkdtemp(name);
  }
  ~Files() {
    ::unlink(path("a.plan").c_str());
    ::unlink(path("a.part").c_str());
    ::rmdir(folder_.c_str());
  }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string write(const std::string& bytes, const std::string& name = "a.plan") const {
    std::ofstream(path(name), std::ios::binary | std::ios::trunc) << bytes;
    return path(name);
  }

 private:
  std::string folder_;
};

}  // namespace

int main() {
  const Files files;
  const std::string marked = "zoo.manifest:" + kDocument;
  for (const char* magic : {"vtrt", "ftrt"}) {
    for (const char* name : {"a.plan", "a.part"}) {
      const std::string path = files.write(make_plan(marked, 0, magic), name);
      const zoo::Manifest manifest = zoo::Manifest::read(path);
      CHECK(manifest.json == kDocument);
      CHECK(manifest.score_names[0] == "{\"}" && manifest.batch_max == 64);
      THROWS(zoo::Classifier(path), zoo::DeviceUnavailableError, "is a TensorRT plan");
    }
  }
  const auto read = [&](const std::string& bytes) {
    return zoo::Manifest::read(files.write(bytes));
  };
  const std::string whole = make_plan(marked);
  THROWS(read(""), zoo::EngineFileError, "is empty");
  THROWS(read("vtr"), zoo::EngineFileError, "is not a TensorRT plan");
  for (size_t size = 4; size < whole.size(); size += size < 80 ? 1 : 13) {
    THROWS(read(whole.substr(0, size)), zoo::EngineFileError, "is truncated at byte");
  }
  THROWS(read(whole.substr(0, whole.size() - 1)), zoo::EngineFileError, "is truncated at byte");
  THROWS(read(make_plan(marked, INT64_MAX)), zoo::EngineFileError, "is truncated at byte");
  THROWS(read(make_plan(marked, -1)), zoo::EngineFileError, "but the plan in it");
  THROWS(read(make_plan(marked, 0, "\x08\x0b:")), zoo::EngineFileError, "is not a TensorRT plan");
  THROWS(read(make_plan("network")), zoo::NotAnEngineError, "no zoo.manifest");
  THROWS(read(make_plan("zoo.manifest:7")), zoo::NotAnEngineError, "no zoo.manifest");
  THROWS(read(make_plan(marked.substr(0, marked.size() - 1))), zoo::EngineFileError,
         "its manifest is incomplete");
  THROWS(read(make_plan("zoo.manifest:{]}")), zoo::ManifestError, "not valid JSON");

  // In pieces, some of them repeated and in another order.
  const size_t half = kDocument.size() / 2;
  const auto piece = [&](const char* place, const std::string& text) {
    return "zoo.manifest[" + std::string(place) + "," + std::to_string(text.size()) + "]:" + text;
  };
  const std::string first = piece("0/2", kDocument.substr(0, half));
  const std::string second = piece("1/2", kDocument.substr(half));
  CHECK(read(make_plan(second + "\x1e" + first + '\x1e' + second)).json == kDocument);
  CHECK(read(make_plan("zoo.manifest[x" + first + "zoo.manifest[1/2,9" + second)).json ==
        kDocument);
  for (const std::string& alone : {first, second}) {
    THROWS(read(make_plan(alone)), zoo::EngineFileError, "a part of its manifest is missing");
  }
  THROWS(read(make_plan(piece("2/2", "{"))), zoo::NotAnEngineError, "no zoo.manifest");
  THROWS(read(make_plan(piece("0/1", "{"))), zoo::ManifestError, "not valid JSON");
  THROWS(read(make_plan("zoo.manifest[0/1,99999999999999999999]:{")), zoo::NotAnEngineError, "");
  THROWS(read(make_plan("zoo.manifest[0/1,999999]:{")), zoo::NotAnEngineError, "no zoo.manifest");

  const auto read_changed = [&](const std::string& part, const std::string& by) {
    return read(make_plan(replace(marked, part, by)));
  };
  THROWS(read_changed("tensorrt-rtx", "abacus"), zoo::ManifestError, "plan.target");
  THROWS(read_changed("[1, 64]", "[64, 1]"), zoo::ManifestError, "plan.buckets");
  THROWS(read_changed("[1, 64]", "[0]"), zoo::ManifestError, "plan.buckets");
  THROWS(read_changed("[1, 64]", "[]"), zoo::ManifestError, "plan.buckets");
  THROWS(read_changed("[\"N\", 2]", "[\"N\", -2]"), zoo::ManifestError, "plan.outputs[0].shape");
  THROWS(read_changed("\"fp32_layers\": []", "\"fp32_layers\": 1"), zoo::ManifestError,
         "fp32_layers");
  THROWS(read_changed("\"inputs\"", "\"imputs\""), zoo::ManifestError, "plan.inputs");
  return zoo::test::report();
}
