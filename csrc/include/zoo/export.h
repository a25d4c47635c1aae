// Marks the symbols that libzoo exports; all others are hidden.
#pragma once

#if defined(_WIN32)
#define ZOO_API
#else
#define ZOO_API __attribute__((visibility("default")))
#endif
