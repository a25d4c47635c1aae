// The tables of virtual functions through which TensorRT's headers call its library.
//
// Each has dozens of functions, and more with every version. Here those are filled in that this
// project calls, at the places that the headers give them; any other one ends the program.
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace fake_nvinfer {

[[noreturn]] inline void unexpected() {
  std::fprintf(stderr, "fake_nvinfer: a function was called that it does not have\n");
  std::abort();
}

// Interface: a class of nvinfer1::apiv. Self: what computes.
template <typename Interface, typename Self>
class Table {
 public:
  // What the headers take for an object of Interface.
  struct Part {
    void* const* functions;
    Self* self;
    Interface* get() { return reinterpret_cast<Interface*>(this); }
  };

  Table() {
    for (void*& function : functions_) function = reinterpret_cast<void*>(&unexpected);
  }

  // Function: the member of Self that is called for a method of Interface.
  template <auto Function, typename Result, typename... Arguments>
  void put(Result (Interface::*method)(Arguments...) noexcept) {
    at(&method) = reinterpret_cast<void*>(&call<Function, Result, Arguments...>);
  }
  template <auto Function, typename Result, typename... Arguments>
  void put(Result (Interface::*method)(Arguments...) const noexcept) {
    at(&method) = reinterpret_cast<void*>(&call<Function, Result, Arguments...>);
  }

  Part part(Self* self) const { return {functions_, self}; }

 private:
  static constexpr size_t kMost = 256;

  template <auto Function, typename Result, typename... Arguments>
  static Result call(Part* part, Arguments... arguments) noexcept {
    return (part->self->*Function)(arguments...);
  }

  // The place of a virtual function, by the C++ ABI of GCC and Clang: its pointer is the offset
  // in the table, plus one; on ARM the second word has that bit.
  template <typename Method>
  void*& at(const Method* method) {
    ptrdiff_t words[2];
    static_assert(sizeof words == sizeof *method);
    std::memcpy(words, method, sizeof words);
    const ptrdiff_t offset = words[1] & 1 ? words[0] : words[0] - 1;
    return functions_[static_cast<size_t>(offset) / sizeof(void*)];
  }

  void* functions_[kMost];
};

}  // namespace fake_nvinfer
