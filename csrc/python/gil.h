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

// While one lives, this thread has the lock. Once Python has ended, a thread that asks for it
// sleeps, as above: PyGILState_Ensure would make it a state of an interpreter that is gone.
class GilHeld {
 public:
  GilHeld() : state_(take_gil(&take)) {}
  GilHeld(const GilHeld&) = delete;
  GilHeld& operator=(const GilHeld&) = delete;
  ~GilHeld() {
    if (state_.saved) PyEval_SaveThread();
    if (state_.ensured) PyGILState_Release(state_.before);
  }

 private:
  struct State {
    bool saved = false;
    bool ensured = false;
    PyGILState_STATE before = PyGILState_UNLOCKED;
  };

  static State take() {
    State state;
    PyThreadState* const own = PyGILState_GetThisThreadState();
    if (own == nullptr) {
      // A thread that Python has not seen yet, or one that outlives it.
      while (!Py_IsInitialized()) ::pause();
      state.ensured = true;
      state.before = PyGILState_Ensure();
    } else if (own != pybind11::detail::get_thread_state_unchecked()) {
      PyEval_RestoreThread(own);
      state.saved = true;
    }
    return state;
  }

  const State state_;
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
