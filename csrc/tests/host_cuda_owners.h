// What tests of CUDA's table hold: memory and streams, let go of at the end of a scope.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "ops/cuda_ops.h"
#include "tests/check.h"
#include "zoo_interfaces.h"

namespace zoo::test {

inline const CudaOps& ops() { return *zoo_cuda_ops(kCudaInterface); }

inline bool good(const char* failure) {
  if (failure) std::fprintf(stderr, "%s\n", failure);
  return !failure;
}

inline bool told(const char* failure, const char* part) {
  const bool right = failure && std::strstr(failure, part);
  if (!right) std::fprintf(stderr, "expected %s, got %s\n", part, failure ? failure : "success");
  return right;
}

// Memory of a device, or pinned.
template <typename T>
struct Block {
  explicit Block(size_t count, bool on_device = true) : size(count), device(on_device) {
    void* memory = nullptr;
    bool exhausted = false;
    const size_t bytes = count * sizeof(T);
    CHECK(good(device ? ops().allocate(bytes, &memory, &exhausted)
                      : ops().allocate_pinned(bytes, &memory)));
    data = static_cast<T*>(memory);
  }
  Block(const Block&) = delete;
  ~Block() { CHECK(good(device ? ops().release(data) : ops().release_pinned(data))); }

  // Tests may: it is memory of the host.
  void set(const std::vector<T>& values) { std::copy(values.begin(), values.end(), data); }
  std::vector<T> get() const { return {data, data + size}; }

  const size_t size;
  const bool device;
  T* data;
};

struct Stream {
  Stream() { CHECK(good(ops().make_stream(&handle))); }
  Stream(const Stream&) = delete;
  ~Stream() { CHECK(good(ops().destroy_stream(handle))); }
  const char* wait() const { return ops().synchronize(handle); }
  void* handle = nullptr;
};

}  // namespace zoo::test
