// Scratch memory of a thread that is reused between runs.
#pragma once

namespace zoo {

// Returns the calling thread's T. Exit handlers run after the thread's objects have been destroyed,
// and get a new one.
template <typename T>
T& thread_memory() {
  static thread_local T* memory = nullptr;
  struct Owner {
    ~Owner() {
      delete memory;
      memory = nullptr;
    }
  };
  [[maybe_unused]] static thread_local const Owner owner;
  if (!memory) memory = new T;
  return *memory;
}

}  // namespace zoo
