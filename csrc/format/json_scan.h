// Brackets of a JSON text, found without parsing it.
#pragma once

#include <cstddef>
#include <string_view>

namespace zoo {

// Calls visit(position, bracket) for every [ ] { } outside of strings, until it returns false.
template <typename Visit>
void scan_brackets(std::string_view json, const Visit& visit) {
  constexpr std::string_view kBrackets = "[]{}";
  bool quoted = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (c == '"') {
      quoted = !quoted;
    } else if (quoted) {
      if (c == '\\') ++i;
    } else if (kBrackets.find(c) != std::string_view::npos && !visit(i, c)) {
      return;
    }
  }
}

}  // namespace zoo
