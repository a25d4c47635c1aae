// The least that a C++ test needs: CHECK, THROWS, and a count at the end.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

namespace zoo::test {

inline int& failures() {
  static int count = 0;
  return count;
}

inline int& checks() {
  static int count = 0;
  return count;
}

inline void check(bool passed, const char* what, const char* file, int line) {
  ++checks();
  if (passed) return;
  ++failures();
  std::fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
}

// The exit status of a test program.
inline int report() {
  std::printf("%d checks, %d failed\n", checks(), failures());
  return failures() == 0 && checks() > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace zoo::test

#define CHECK(condition) ::zoo::test::check((condition), #condition, __FILE__, __LINE__)

// The expression throws Type, and its message holds `part`.
#define THROWS(expression, Type, part)                                                      \
  do {                                                                                      \
    std::string said = "nothing";                                                           \
    bool right = false;                                                                     \
    try {                                                                                   \
      (void)(expression);                                                                   \
    } catch (const Type& error) {                                                           \
      said = error.what();                                                                  \
      right = said.find(part) != std::string::npos;                                         \
    } catch (const std::exception& error) {                                                 \
      said = std::string("another error: ") + error.what();                                 \
    }                                                                                       \
    ::zoo::test::check(right, (#expression " should throw " #Type ", got " + said).c_str(), \
                       __FILE__, __LINE__);                                                 \
  } while (false)
