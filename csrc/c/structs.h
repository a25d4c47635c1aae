// Structs that begin with their size: those of programs that were compiled with another header.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>

#include "zoo.h"
#include "zoo/errors.h"

namespace zoo::c {

// Size of the first version of a struct, up to its last field then: no program has a smaller one.
template <typename T>
constexpr size_t kFirstSize = 0;

#define ZOO_FIRST_VERSION(T, last_field) \
  template <>                            \
  inline constexpr size_t kFirstSize<T> = offsetof(T, last_field) + sizeof(T::last_field)

ZOO_FIRST_VERSION(zoo_options, bucket);
ZOO_FIRST_VERSION(zoo_description, scores);
ZOO_FIRST_VERSION(zoo_sample_request, cancel_context);
ZOO_FIRST_VERSION(zoo_decode_request, cancel_context);
ZOO_FIRST_VERSION(zoo_interpolate_request, cancel_context);
ZOO_FIRST_VERSION(zoo_rows_request, cancel_context);
ZOO_FIRST_VERSION(zoo_translate_request, cancel_context);
ZOO_FIRST_VERSION(zoo_batch, images);

#undef ZOO_FIRST_VERSION

// More than any version will have: a larger size is not one.
constexpr size_t kLargestSize = 4096;

inline void require(const char* name, const void* pointer) {
  if (!pointer) throw ArgumentError(std::string(name) + ": expected a pointer, got null");
}

template <typename T>
void check_size(const char* name, const T* given) {
  static_assert(kFirstSize<T> != 0 && sizeof(T) <= kLargestSize);
  require(name, given);
  if (given->size >= kFirstSize<T> && given->size <= kLargestSize) return;
  throw ArgumentError(std::string(name) + ".size: expected the size of the struct, " +
                      std::to_string(sizeof(T)) + ", got " + std::to_string(given->size));
}

// Returns a copy of a struct of the caller, with 0 in the fields that it does not have. Throws
// ArgumentError if it has others that this library does not know, and they are not 0.
template <typename T>
T read_struct(const char* name, const T* given) {
  check_size(name, given);
  T copy{};
  std::memcpy(&copy, given, std::min(given->size, sizeof(T)));
  const auto* const bytes = reinterpret_cast<const unsigned char*>(given);
  for (size_t i = sizeof(T); i < given->size; ++i) {
    if (bytes[i] == 0) continue;
    throw ArgumentError(std::string(name) + ": has a field at byte " + std::to_string(i) +
                        " that version " + std::to_string(ZOO_C_API_VERSION) +
                        " of the C API does not know");
  }
  return copy;
}

// Fills in a struct of the caller: the fields that it has, and 0 in those that are not known here.
template <typename T>
void write_struct(const char* name, const T& value, T* given) {
  check_size(name, given);
  const size_t size = given->size;
  std::memset(static_cast<void*>(given), 0, size);
  std::memcpy(static_cast<void*>(given), &value, std::min(size, sizeof(T)));
  given->size = size;
}

}  // namespace zoo::c
