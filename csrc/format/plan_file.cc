#include "format/plan_file.h"

#include <charconv>
#include <map>
#include <string_view>

#include "base/library.h"
#include "zoo/errors.h"
#include "zoo/manifest.h"

namespace zoo {
namespace {

// A plan begins with four letters ("ftrt", of TensorRT for RTX "vtrt"), four bytes of zero, a
// version of the format in eight bytes, and the length of the whole plan in eight more.
constexpr std::string_view kMagic = "ftrt";
constexpr std::string_view kRtxMagic = "vtrt";
constexpr size_t kLengthAt = 16;
constexpr size_t kHeaderBytes = 64;

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.begin()), file.size()};
}

uint64_t length_in_header(std::string_view text) {
  uint64_t length = 0;
  for (size_t i = 0; i < sizeof length; ++i) {
    length |= static_cast<uint64_t>(static_cast<uint8_t>(text[kLengthAt + i])) << (8 * i);
  }
  return length;
}

// A plan says how long it is, so nothing of ours is added to it: TensorRT refuses one whose length
// is not what its header says ("Size specified in header does not match archive size"), and with
// a trailer of ours no other program could load it. The length that TensorRT itself writes may
// leave its header out; it is thus held only against files that are too short.
void check_length(const MappedFile& file) {
  const std::string_view text = text_of(file);
  const std::string name = "engine file '" + file.path() + "' is truncated at byte ";
  if (file.size() < kHeaderBytes) {
    throw EngineFileError(name + std::to_string(file.size()) + ", within the header of a plan");
  }
  const uint64_t length = length_in_header(text);
  if (length > file.size()) {
    throw EngineFileError(name + std::to_string(file.size()) + " of " + std::to_string(length));
  }
  if (length < file.size() && text.substr(0, kRtxMagic.size()) == kRtxMagic) {
    throw EngineFileError("engine file '" + file.path() + "' is " + std::to_string(file.size()) +
                          " bytes long, but the plan in it " + std::to_string(length));
  }
}

// Length of the JSON object at the beginning of a text, 0 if it does not end there.
size_t object_length(std::string_view text) {
  size_t depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      quoted = c != '"';
      continue;
    }
    quoted = c == '"';
    if (c == '{') ++depth;
    if (c == '}' && --depth == 0) return i + 1;
  }
  return 0;
}

// A manifest that is too long for a name stands in pieces, each as KEY[index/count,length]:text,
// in any order and some of them more than once (export/plan/name.py). Pieces do not overlap: what
// looks like one within another is its text.
struct Pieces {
  uint64_t count = 0;
  std::map<uint64_t, std::string_view> texts;
};

// Takes a number and the character after it off the front of a text.
bool take_number(std::string_view* text, char after, uint64_t* number) {
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *number);
  const auto used = static_cast<size_t>(end - text->data());
  if (error != std::errc() || used == text->size() || *end != after) return false;
  text->remove_prefix(used + 1);
  return true;
}

Pieces find_pieces(std::string_view text) {
  Pieces pieces;
  const std::string marker = std::string(kManifestKey) + "[";
  for (size_t at = 0; (at = text.find(marker, at)) != std::string_view::npos;) {
    at += marker.size();
    std::string_view rest = text.substr(at);
    uint64_t index = 0, count = 0, length = 0;
    const bool good = take_number(&rest, '/', &index) && take_number(&rest, ',', &count) &&
                      take_number(&rest, ']', &length) && rest.substr(0, 1) == ":" &&
                      index < count && length < rest.size();
    if (!good || (pieces.count != 0 && count != pieces.count)) continue;
    pieces.count = count;
    pieces.texts.emplace(index, rest.substr(1, length));
    at = static_cast<size_t>(rest.data() - text.data()) + 1 + length;
  }
  return pieces;
}

[[noreturn]] void fail_damaged(const MappedFile& file, const std::string& why) {
  throw EngineFileError("engine file '" + file.path() + "' is damaged: " + why);
}

}  // namespace

bool begins_as_plan(std::string_view text) {
  const std::string_view start = text.substr(0, kMagic.size());
  return start == kMagic || start == kRtxMagic;
}

bool is_plan(const MappedFile& file) { return begins_as_plan(text_of(file)); }

bool is_plan_name(const std::string& path) {
  const std::string_view name = path;
  for (const std::string_view suffix : {".plan", ".engine"}) {
    if (name.size() >= suffix.size() && name.substr(name.size() - suffix.size()) == suffix) {
      return true;
    }
  }
  return false;
}

std::string read_plan_manifest(const MappedFile& file) {
  if (!is_plan(file)) {
    throw EngineFileError("engine file '" + file.path() + "' is not a TensorRT plan");
  }
  check_length(file);
  const std::string_view text = text_of(file);
  const std::string key = kManifestKey;
  // No brace in the marker: the object begins right after it.
  if (const auto found = text.find(key + ":{"); found != std::string_view::npos) {
    const std::string_view rest = text.substr(found + key.size() + 1);
    const size_t length = object_length(rest);
    if (length == 0) fail_damaged(file, "its manifest has no end");
    return std::string(rest.substr(0, length));
  }
  const Pieces pieces = find_pieces(text);
  if (pieces.count == 0) {
    throw NotAnEngineError("'" + file.path() + "' is a TensorRT plan but no engine: it has no " +
                           kManifestKey + "; make one with python -m export");
  }
  if (pieces.texts.size() != pieces.count) fail_damaged(file, "a part of its manifest is missing");
  std::string whole;
  for (const auto& [index, part] : pieces.texts) whole += part;
  return whole;
}

}  // namespace zoo
