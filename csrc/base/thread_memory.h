// Working memory of a thread, kept between runs.
#pragma once

namespace zoo {

// The thread's own T. What exit() calls runs in a thread whose objects are gone already: it gets
// another one.
template <typename T>
T& thread_memory() {
  static thread_local T* kept = nullptr;
  struct Owner {
    ~Owner() {
      delete kept;
      kept = nullptr;
    }
  };
  [[maybe_unused]] static thread_local const Owner owner;
  if (!kept) kept = new T;
  return *kept;
}

}  // namespace zoo
