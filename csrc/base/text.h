// Formatting of lists in messages.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace zoo {

// Formats as "a, b, c".
inline std::string join(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ", ") + item;
  return text;
}

// Formats as "a, b or c"; with quoted, as "'a', 'b' or 'c'".
inline std::string alternatives(const std::vector<std::string>& items, bool quoted = false) {
  std::string text;
  for (size_t i = 0; i < items.size(); ++i) {
    if (i != 0) text += i + 1 == items.size() ? " or " : ", ";
    text += quoted ? "'" + items[i] + "'" : items[i];
  }
  return text;
}

}  // namespace zoo
