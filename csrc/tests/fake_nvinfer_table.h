// Virtual function tables through which TensorRT's headers call its library.
//
// Each has dozens of functions, and more with every version. Only those that this project calls are
// set, at the places that the headers define; any other one ends the program.
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace fake_nvinfer {

[[noreturn]] inline void unexpected() {
  std::fprintf(stderr, "fake_nvinfer: call of a function that is not implemented\n");
  std::abort();
}

// Interface: a class of nvinfer1::apiv. Self: the class that implements it.
template <typename Interface, typename Self>
class Table {
 public:
  // The object that the headers use as an Interface.
  struct Part {
    void* const* functions;
    Self* self;
    Interface* get() { return reinterpret_cast<Interface*>(this); }
  };

  Table() {
    for (void*& function : functions_) function = reinterpret_cast<void*>(&unexpected);
  }

  // Sets the member of Self, Function, that is called for a method of Interface.
  template <auto Function, typename Result, typename... Arguments>
  void set(Result (Interface::*method)(Arguments...) noexcept) {
    at(&method) = reinterpret_cast<void*>(&call<Function, Result, Arguments...>);
  }
  template <auto Function, typename Result, typename... Arguments>
  void set(Result (Interface::*method)(Arguments...) const noexcept) {
    at(&method) = reinterpret_cast<void*>(&call<Function, Result, Arguments...>);
  }

  Part part(Self* self) const { return {functions_, self}; }

 private:
  static constexpr size_t kMaxFunctions = 256;

  template <auto Function, typename Result, typename... Arguments>
  static Result call(Part* part, Arguments... arguments) noexcept {
    return (part->self->*Function)(arguments...);
  }

  // Returns the entry of a virtual function. In the C++ ABI of GCC and Clang, its member pointer is
  // the offset in the table plus one; on ARM the second word has that bit.
  template <typename Method>
  void*& at(const Method* method) {
    ptrdiff_t words[2];
    static_assert(sizeof words == sizeof *method);
    std::memcpy(words, method, sizeof words);
    const ptrdiff_t offset = words[1] & 1 ? words[0] : words[0] - 1;
    return functions_[static_cast<size_t>(offset) / sizeof(void*)];
  }

  void* functions_[kMaxFunctions];
};

}  // namespace fake_nvinfer
