#include "format/plan_file.h"

#include <charconv>
#include <map>
#include <string_view>

#include "format/json_scan.h"
#include "zoo/errors.h"
#include "zoo/manifest.h"

namespace zoo {
namespace {

// A plan begins with four letters ("ftrt", or "vtrt" for TensorRT for RTX), four zero bytes, the
// format's version (8 bytes) and the length of the whole plan (8 bytes).
constexpr std::string_view kMagic = "ftrt";
constexpr std::string_view kRtxMagic = "vtrt";
constexpr size_t kLengthAt = 16;
constexpr size_t kHeaderBytes = 64;

uint64_t length_in_header(std::string_view text) {
  uint64_t length = 0;
  for (size_t i = 0; i < sizeof length; ++i) {
    length |= static_cast<uint64_t>(static_cast<uint8_t>(text[kLengthAt + i])) << (8 * i);
  }
  return length;
}

// Checks the length in the header. Nothing can be appended to a plan: TensorRT refuses one of
// another length ("Size specified in header does not match archive size"). But the length that
// TensorRT itself writes may exclude the header, so only files that are too short are refused.
void check_length(const FileContents& file) {
  const std::string name = "engine file '" + file.path() + "'";
  const size_t size = file.text().size();
  if (size < kHeaderBytes) {
    throw EngineFileError(name + " is truncated at byte " + std::to_string(size) +
                          ", within the header of a plan");
  }
  const uint64_t length = length_in_header(file.text());
  if (length > size) {
    throw EngineFileError(name + " is truncated at byte " + std::to_string(size) + " of " +
                          std::to_string(length));
  }
  if (length < size && file.text().substr(0, kRtxMagic.size()) == kRtxMagic) {
    throw EngineFileError(name + " is " + std::to_string(size) +
                          " bytes long, but the plan in it has " + std::to_string(length));
  }
}

// Returns the length of the JSON object at the beginning of a text, 0 if it is incomplete.
size_t object_length(std::string_view text) {
  size_t depth = 0;
  size_t length = 0;
  scan_brackets(text, [&](size_t at, char c) {
    if (c == '{') ++depth;
    if (c == '}' && --depth == 0) length = at + 1;
    return length == 0;
  });
  return length;
}

// A manifest that is too long for a name is stored in pieces KEY[index/count,length]:text, in any
// order and possibly repeated (export/plan/name.py). Pieces do not overlap: a marker within a piece
// is part of its text.
struct Pieces {
  uint64_t count = 0;
  std::map<uint64_t, std::string_view> texts;
};

// Removes a number and the character after it from the front of a text.
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

[[noreturn]] void fail_damaged(const FileContents& file, const std::string& why) {
  throw EngineFileError("engine file '" + file.path() + "' is damaged: " + why);
}

}  // namespace

bool begins_as_plan(std::string_view text) {
  const std::string_view start = text.substr(0, kMagic.size());
  return start == kMagic || start == kRtxMagic;
}

bool is_plan(const FileContents& file) { return begins_as_plan(file.text()); }

bool is_plan_name(const std::string& path) {
  const std::string_view name = path;
  for (const std::string_view suffix : {".plan", ".engine"}) {
    if (name.size() >= suffix.size() && name.substr(name.size() - suffix.size()) == suffix) {
      return true;
    }
  }
  return false;
}

std::string read_plan_manifest(const FileContents& file) {
  if (!is_plan(file)) {
    throw EngineFileError("engine file '" + file.path() + "' is not a TensorRT plan");
  }
  check_length(file);
  const std::string_view text = file.text();
  const std::string key = kManifestKey;
  if (const auto start = text.find(key + ":{"); start != std::string_view::npos) {
    const std::string_view rest = text.substr(start + key.size() + 1);
    const size_t length = object_length(rest);
    if (length == 0) fail_damaged(file, "its manifest is incomplete");
    return std::string(rest.substr(0, length));
  }
  const Pieces pieces = find_pieces(text);
  if (pieces.count == 0) {
    throw NotAnEngineError("'" + file.path() +
                           "' is a TensorRT plan but not an engine: it has no " + kManifestKey +
                           "; create one with python -m export");
  }
  if (pieces.texts.size() != pieces.count) fail_damaged(file, "a part of its manifest is missing");
  std::string whole;
  for (const auto& [index, part] : pieces.texts) whole += part;
  return whole;
}

}  // namespace zoo
