// A minimal test framework: CHECK, THROWS, and a report at the end.
#pragma once

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "zoo/options.h"

namespace zoo::test {

inline std::atomic<int>& failures() {
  static std::atomic<int> count{0};
  return count;
}

inline std::atomic<int>& checks() {
  static std::atomic<int> count{0};
  return count;
}

inline void check(bool passed, const char* what, const char* file, int line) {
  ++checks();
  if (passed) return;
  ++failures();
  std::fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
}

// Prints the result and returns the exit status of the program.
inline int report() {
  std::printf("%d checks, %d failed\n", checks().load(), failures().load());
  return failures() == 0 && checks() > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

// The main function of a test with two arguments: an engine file, or a folder of them, and a
// backend. Calls run(path, options) with three instances.
template <typename Run>
int run_with_engine(int argc, char** argv, const Run& run) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s PATH BACKEND\n", argv[0]);
    return 2;
  }
  run(std::string(argv[1]), Options{"auto", argv[2], "fp32", 3});
  return report();
}

}  // namespace zoo::test

#define CHECK(condition) ::zoo::test::check((condition), #condition, __FILE__, __LINE__)

// Checks that the expression throws Type with a message that contains `part`.
#define THROWS(expression, Type, part)                                                           \
  do {                                                                                           \
    std::string message = "nothing";                                                             \
    bool matches = false;                                                                        \
    try {                                                                                        \
      (void)(expression);                                                                        \
    } catch (const Type& error) {                                                                \
      message = error.what();                                                                    \
      matches = message.find(part) != std::string::npos;                                         \
    } catch (const std::exception& error) {                                                      \
      message = std::string("another error: ") + error.what();                                   \
    }                                                                                            \
    ::zoo::test::check(matches, (#expression " should throw " #Type ", got " + message).c_str(), \
                       __FILE__, __LINE__);                                                      \
  } while (false)
