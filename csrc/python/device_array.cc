// GPU memory owned by Python, and its exchange with other libraries.
#include <algorithm>
#include <cstring>

#include "backends/cuda/memory.h"
#include "python/bindings.h"
#include "python/dlpack.h"
#include "zoo/errors.h"

namespace zoo::python {
namespace {

using Shape = std::vector<int64_t>;

// Bytes of pinned memory through which copies go.
constexpr size_t kPinnedBytes = size_t{1} << 24;

// Device memory, which any thread may release.
class DeviceBlock {
 public:
  DeviceBlock(int device, size_t bytes) : device_(device), bytes_(bytes) {
    const OnDevice current(device);
    memory_ = allocate_device_memory(bytes);
  }
  DeviceBlock(const DeviceBlock&) = delete;
  // Does not release the memory in a forked child, which cannot use CUDA.
  ~DeviceBlock() {
    try {
      const OnDevice current(device_);
      const DeviceMemory memory = std::move(memory_);
    } catch (const Error&) {
      memory_.release();
    }
  }

  int device() const { return device_; }
  size_t bytes() const { return bytes_; }
  uintptr_t address() const { return reinterpret_cast<uintptr_t>(memory_.get()); }

  // Copies all of it from (upload) or to host memory, and waits.
  void copy(void* host, bool upload) const {
    if (bytes_ == 0) return;
    const OnDevice current(device_);
    const CudaOps& ops = cuda_ops();
    const CudaStream stream = make_cuda_stream();
    const size_t step = std::min(bytes_, kPinnedBytes);
    const PinnedMemory pinned = allocate_pinned_memory(step);
    for (size_t offset = 0; offset < bytes_; offset += step) {
      const size_t bytes = std::min(step, bytes_ - offset);
      auto* const on_device = memory_.bytes() + offset;
      auto* const on_host = static_cast<unsigned char*>(host) + offset;
      if (upload) std::memcpy(pinned.get(), on_host, bytes);
      check_cuda(upload ? ops.copy(on_device, pinned.get(), bytes, stream.get())
                        : ops.copy(pinned.get(), on_device, bytes, stream.get()));
      check_cuda(ops.synchronize(stream.get()));
      if (!upload) std::memcpy(on_host, pinned.get(), bytes);
    }
  }

 private:
  const int device_;
  const size_t bytes_;
  DeviceMemory memory_;
};

using Block = std::shared_ptr<DeviceBlock>;

// Released without the GIL, because that waits for the device.
Block make_block(int device, size_t bytes) {
  return Block(new DeviceBlock(device, bytes), DeleteWithoutGil<DeviceBlock>());
}

// The content of an exported capsule.
template <typename Tensor>
struct Export {
  Tensor managed;
  Shape shape;
  Block block;
};

template <typename Tensor>
void delete_export(Tensor* managed) {
  delete static_cast<Export<Tensor>*>(managed->context);
}

// Destructor of a capsule. One that was consumed has another name, and its consumer deletes it.
template <typename Tensor>
void destroy_capsule(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, Tensor::kName)) return;
  auto* managed = static_cast<Tensor*>(PyCapsule_GetPointer(capsule, Tensor::kName));
  managed->deleter(managed);
}

template <typename Tensor>
py::object export_as(const Block& block, const Shape& shape, bool floats) {
  auto content = std::make_unique<Export<Tensor>>();
  content->managed = Tensor();
  content->shape = shape;
  content->block = block;
  dlpack::Tensor& tensor = content->managed.tensor;
  tensor.data = reinterpret_cast<void*>(block->address());
  tensor.device = {dlpack::kCuda, block->device()};
  tensor.dimensions = static_cast<int32_t>(shape.size());
  tensor.dtype =
      floats ? dlpack::DataType{dlpack::kFloat, 32, 1} : dlpack::DataType{dlpack::kUnsigned, 8, 1};
  tensor.shape = content->shape.data();
  if constexpr (std::is_same_v<Tensor, dlpack::Versioned>) content->managed.major = 1;
  content->managed.context = content.get();
  content->managed.deleter = &delete_export<Tensor>;
  PyObject* capsule = PyCapsule_New(&content->managed, Tensor::kName, &destroy_capsule<Tensor>);
  if (!capsule) throw py::error_already_set();
  content.release();
  return py::reinterpret_steal<py::object>(capsule);
}

py::object to_dlpack(const Block& block, const Shape& shape, bool floats, bool versioned) {
  return versioned ? export_as<dlpack::Versioned>(block, shape, floats)
                   : export_as<dlpack::Managed>(block, shape, floats);
}

// An array of another library, kept alive by this object.
class Borrowed {
 public:
  explicit Borrowed(const py::object& capsule) {
    if (!consume<dlpack::Versioned>(capsule.ptr()) && !consume<dlpack::Managed>(capsule.ptr())) {
      throw ArgumentError("expected a DLPack capsule that has not been consumed");
    }
  }
  Borrowed(const Borrowed&) = delete;
  ~Borrowed() { release_(); }

  uintptr_t address() const {
    return reinterpret_cast<uintptr_t>(tensor_->data) + tensor_->byte_offset;
  }
  py::tuple device() const { return py::make_tuple(tensor_->device.type, tensor_->device.index); }
  Shape shape() const { return {tensor_->shape, tensor_->shape + tensor_->dimensions}; }
  bool read_only() const { return read_only_; }

  // Type in NumPy's notation, or "?" if it has none.
  std::string type() const {
    const dlpack::DataType& type = tensor_->dtype;
    const char* const codes = "iuf";
    if (type.code > 2 || type.lanes != 1 || type.bits % 8 != 0) return "?";
    return (type.bits == 8 ? "|" : "<") + std::string(1, codes[type.code]) +
           std::to_string(type.bits / 8);
  }

  bool dense() const {
    if (!tensor_->strides) return true;
    int64_t expected = 1;
    for (int32_t axis = tensor_->dimensions; axis-- > 0;) {
      if (tensor_->shape[axis] != 1 && tensor_->strides[axis] != expected) return false;
      expected *= tensor_->shape[axis];
    }
    return true;
  }

 private:
  template <typename Tensor>
  bool consume(PyObject* capsule) {
    if (!PyCapsule_IsValid(capsule, Tensor::kName)) return false;
    auto* managed = static_cast<Tensor*>(PyCapsule_GetPointer(capsule, Tensor::kName));
    if constexpr (std::is_same_v<Tensor, dlpack::Versioned>) {
      if (managed->major != 1) {
        throw ArgumentError("expected an array of DLPack 1, got one of DLPack " +
                            std::to_string(managed->major));
      }
      read_only_ = (managed->flags & dlpack::kReadOnly) != 0;
    }
    tensor_ = &managed->tensor;
    release_ = [managed] {
      if (managed->deleter) managed->deleter(managed);
    };
    if (PyCapsule_SetName(capsule, Tensor::kUsedName) != 0) throw py::error_already_set();
    return true;
  }

  dlpack::Tensor* tensor_ = nullptr;
  bool read_only_ = false;
  std::function<void()> release_ = [] {};
};

// Context manager that makes a device current for the thread.
class CurrentDevice {
 public:
  explicit CurrentDevice(int device) : device_(device) {}
  void enter() {
    without_gil([this] { current_ = std::make_unique<OnDevice>(device_); });
  }
  void leave(const py::args&) {
    without_gil([this] { current_.reset(); });
  }

 private:
  const int device_;
  std::unique_ptr<OnDevice> current_;
};

Block to_device(const py::array& array, int device) {
  const auto bytes = static_cast<size_t>(array.nbytes());
  void* const data = const_cast<void*>(array.data());
  return without_gil([&] {
    Block block = make_block(device, bytes);
    block->copy(data, /*upload=*/true);
    return block;
  });
}

void to_host(const DeviceBlock& self, const py::array& array) {
  if (static_cast<size_t>(array.nbytes()) != self.bytes()) {
    throw ArgumentError("expected an array of " + std::to_string(self.bytes()) + " bytes");
  }
  void* const data = const_cast<void*>(array.data());
  without_gil([&] { self.copy(data, /*upload=*/false); });
}

// Waits for a stream of another library.
void synchronize(int device, uintptr_t stream) {
  without_gil([&] {
    const OnDevice current(device);
    check_cuda(cuda_ops().synchronize(reinterpret_cast<void*>(stream)));
  });
}

int device_of(uintptr_t memory) {
  return without_gil([&] {
    int index = -1;
    check_cuda(cuda_ops().device_of(reinterpret_cast<const void*>(memory), &index));
    return index;
  });
}

}  // namespace

void bind_device_arrays(py::module_& module) {
  py::class_<DeviceBlock, Block>(module, "DeviceBlock")
      .def(py::init([](int device, size_t bytes) {
        return without_gil([&] { return make_block(device, bytes); });
      }))
      .def_property_readonly("address", &DeviceBlock::address)
      .def_property_readonly("device", &DeviceBlock::device)
      .def("to_host", &to_host)
      .def("dlpack", &to_dlpack);
  py::class_<Borrowed>(module, "BorrowedArray")
      .def(py::init<const py::object&>())
      .def_property_readonly("address", &Borrowed::address)
      .def_property_readonly("device", &Borrowed::device)
      .def_property_readonly("shape", &Borrowed::shape)
      .def_property_readonly("type", &Borrowed::type)
      .def_property_readonly("dense", &Borrowed::dense)
      .def_property_readonly("read_only", &Borrowed::read_only);
  py::class_<CurrentDevice>(module, "CurrentDevice")
      .def(py::init<int>())
      .def("__enter__", &CurrentDevice::enter)
      .def("__exit__", &CurrentDevice::leave);
  module.def("to_device", &to_device);
  module.def("cuda_synchronize", &synchronize);
  module.def("cuda_device_of", &device_of);
}

}  // namespace zoo::python
