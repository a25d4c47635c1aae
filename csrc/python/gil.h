// Release and acquisition of the GIL, safe while the interpreter exits.
#pragma once

#include <cxxabi.h>
#include <pybind11/pybind11.h>
#include <unistd.h>

#include <memory>

namespace zoo::python {

// Python ends a thread that requests the GIL while the interpreter exits by unwinding it: through
// destructors that access objects without the GIL, and out of noexcept functions, which aborts the
// process. Here such a thread sleeps until the process is gone, as in Python from 3.14 on.
template <typename Acquire>
auto acquire_gil(const Acquire& acquire) noexcept {
#ifdef __GLIBCXX__
  try {
    return acquire();
  } catch (abi::__forced_unwind&) {
    while (true) ::pause();
  }
#else
  return acquire();
#endif
}

// Releases the GIL, which the thread holds, within a scope.
class GilReleased {
 public:
  GilReleased() : state_(PyEval_SaveThread()) {}
  GilReleased(const GilReleased&) = delete;
  GilReleased& operator=(const GilReleased&) = delete;
  ~GilReleased() {
    acquire_gil([this] { PyEval_RestoreThread(state_); });
  }

 private:
  PyThreadState* const state_;
};

// Holds the GIL within a scope. After Python has exited, a thread sleeps here as above:
// PyGILState_Ensure would create a thread state of an interpreter that is gone.
class GilHeld {
 public:
  GilHeld() : state_(acquire_gil(&acquire)) {}
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

  static State acquire() {
    State state;
    PyThreadState* const own = PyGILState_GetThisThreadState();
    if (own == nullptr) {
      // A thread that Python does not know yet, or that outlives it.
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

// Deletes an object whose destructor may wait for other threads, which may wait for the GIL. May be
// called by any thread.
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
