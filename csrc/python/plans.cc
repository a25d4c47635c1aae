// Plans opened by TensorRT's Python module (runtime/plans.py), and warnings passed to Python.
#include "backends/tensorrt/plan_engine.h"

#include "python/bindings.h"
#include "zoo/errors.h"

#include <tuple>

namespace zoo::python {
namespace {

// Encodes text that may not be valid Unicode (lone surrogates).
std::string encode(const py::str& text) {
  return py::reinterpret_steal<py::bytes>(
      PyUnicode_AsEncodedString(text.ptr(), "utf-8", "backslashreplace"));
}

// Makes a call with the GIL held. Translates runtime.errors.OutOfMemoryError to the C++ class,
// after which fewer rows are tried; other exceptions pass unchanged.
template <typename Call>
auto with_gil(const Call& call) {
  const GilHeld held;
  try {
    return call();
  } catch (py::error_already_set& error) {
    const py::object out_of_memory = py::module_::import("runtime.errors").attr("OutOfMemoryError");
    if (!error.matches(out_of_memory)) throw;
    throw OutOfMemoryError(encode(py::str(error.value())));
  }
}

// A Python object that any thread may release.
class SharedObject {
 public:
  explicit SharedObject(py::object object) : object_(std::move(object)) {}
  SharedObject(const SharedObject&) = delete;
  ~SharedObject() {
    const GilHeld held;
    object_ = py::object();
  }
  const py::object& get() const { return object_; }

 private:
  py::object object_;
};

uintptr_t address(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

class PyPlanContext : public PlanContext {
 public:
  explicit PyPlanContext(py::object object) : object_(std::move(object)) {}

  size_t scratch_bytes() const override {
    return with_gil([&] { return object_.get().attr("scratch_bytes").cast<size_t>(); });
  }

  void bind(const std::vector<Binding>& tensors, void* scratch, size_t bytes) override {
    with_gil([&] {
      py::dict addresses;
      for (const Binding& tensor : tensors) {
        addresses[text(tensor.name)] = address(tensor.data);
      }
      object_.get().attr("bind")(addresses, address(scratch), bytes);
    });
  }

  void enqueue(void* stream) override {
    with_gil([&] { object_.get().attr("enqueue")(address(stream)); });
  }

 private:
  SharedObject object_;
};

class PyPlanEngine : public PlanEngine {
 public:
  explicit PyPlanEngine(py::object object) : object_(std::move(object)) {}

  std::vector<PlanTensor> tensors() const override {
    return with_gil([&] {
      std::vector<PlanTensor> tensors;
      if (!py::hasattr(object_.get(), "tensors")) return tensors;
      for (const py::handle entry : object_.get().attr("tensors")) {
        const auto [name, type, shape] =
            entry.cast<std::tuple<std::string, std::string, std::vector<int64_t>>>();
        tensors.emplace_back();
        tensors.back().name = name;
        tensors.back().type = type;
        tensors.back().shape = shape;
      }
      return tensors;
    });
  }

  std::unique_ptr<PlanContext> context(size_t profile, size_t rows, void* stream) override {
    return with_gil([&]() -> std::unique_ptr<PlanContext> {
      return std::make_unique<PyPlanContext>(
          object_.get().attr("context")(profile, rows, address(stream)));
    });
  }

 private:
  SharedObject object_;
};

void set_loader(const py::function& load) {
  set_plan_loader([load](const std::string& path, const Manifest& manifest) {
    return with_gil([&]() -> std::unique_ptr<PlanEngine> {
      return std::make_unique<PyPlanEngine>(
          load(path_text(path), text(manifest.plan.target), text(manifest.plan.tensorrt)));
    });
  });
}

// Called in a thread that waits for C++. A warnings filter may turn the warning into an exception.
void set_handler(const py::function& call) {
  set_warning_handler([call](const std::string& message) {
    const GilHeld held;
    call(text(message));
  });
}

}  // namespace

void bind_plans(py::module_& module) {
  module.def("set_plan_loader", &set_loader);
  module.def("set_warning_handler", &set_handler);
}

}  // namespace zoo::python
