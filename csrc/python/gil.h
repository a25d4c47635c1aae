// Python's lock: given away and taken again by threads that may never get it.
#pragma once

#include <cxxabi.h>
#include <pybind11/pybind11.h>
#include <unistd.h>

#include <memory>

namespace zoo::python {

// Python ends a thread that asks for its lock while the interpreter ends: by unwinding, through
// destructors that would touch objects without the lock, and out of functions that may not throw,
// which aborts the process. Here such a thread sleeps until the process is gone, as Python itself
// has it from 3.14 on.
template <typename Take>
auto take_gil(const Take& take) noexcept {
#ifdef __GLIBCXX__
  try {
    return take();
  } catch (abi::__forced_unwind&) {
    while (true) ::pause();
  }
#else
  return take();
#endif
}

// While one lives, other threads can have the lock, which this thread has.
class GilReleased {
 public:
  GilReleased() : state_(PyEval_SaveThread()) {}
  GilReleased(const GilReleased&) = delete;
  GilReleased& operator=(const GilReleased&) = delete;
  ~GilReleased() {
    take_gil([this] { PyEval_RestoreThread(state_); });
  }

 private:
  PyThreadState* const state_;
};

// While one lives, this thread has the lock.
class GilHeld {
 public:
  GilHeld() : state_(take_gil([] { return PyGILState_Ensure(); })) {}
  GilHeld(const GilHeld&) = delete;
  GilHeld& operator=(const GilHeld&) = delete;
  ~GilHeld() { PyGILState_Release(state_); }

 private:
  const PyGILState_STATE state_;
};

// Deletes an object whose end may wait for other threads, and they for Python's lock. In any
// thread.
template <typename T>
struct DeleteWithoutGil {
  void operator()(T* object) const {
    if (!PyGILState_Check()) {
      delete object;
      return;
    }
    const GilReleased released;
    delete object;
  }
};

template <typename T>
using Owned = std::unique_ptr<T, DeleteWithoutGil<T>>;

}  // namespace zoo::python
