// Arrays aligned to cache lines, since aligned vectors of 64 bytes load fastest.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace zoo::native {

template <typename T>
struct LineAllocator {
  using value_type = T;

  LineAllocator() = default;
  template <typename U>
  LineAllocator(const LineAllocator<U>&) {}

  T* allocate(size_t count) {
    return static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t{64}));
  }
  void deallocate(T* memory, size_t) { ::operator delete(memory, std::align_val_t{64}); }

  bool operator==(const LineAllocator&) const { return true; }
  bool operator!=(const LineAllocator&) const { return false; }
};

using Floats = std::vector<float, LineAllocator<float>>;
using Bytes = std::vector<unsigned char, LineAllocator<unsigned char>>;

}  // namespace zoo::native
