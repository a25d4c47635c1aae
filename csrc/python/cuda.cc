#include "backends/cuda/memory.h"
#include "python/bindings.h"
#include "zoo/errors.h"

namespace zoo::python {
namespace {

// Device addresses and streams are passed as integers; runtime/cuda.py checks types and shapes.

template <typename T>
T* pointer(uintptr_t address) {
  return reinterpret_cast<T*>(address);
}

py::list devices() {
  py::list list;
  for (const CudaDevice& device : without_gil([] { return cuda_devices(); })) {
    list.append(py::make_tuple(device.name, device.major, device.minor, device.multiprocessors,
                               device.memory));
  }
  return list;
}

// Makes a call on the device that owns the memory.
template <typename Call>
void on_device_of(uintptr_t memory, const Call& call) {
  without_gil([&] {
    const CudaOps& ops = cuda_ops();
    int index = -1;
    check_cuda(ops.device_of(pointer<const void>(memory), &index));
    if (index < 0) throw ArgumentError("expected memory of a GPU, got memory of the host");
    const OnDevice current(index);
    check_cuda(call(ops));
  });
}

void sample(uintptr_t mu, uintptr_t logvar, uintptr_t seed, uintptr_t first, bool per_row,
            uint32_t noise_stream, size_t rows, size_t width, int32_t real, uintptr_t h,
            uintptr_t stream) {
  const NoiseKeys keys{pointer<const uint64_t>(seed), pointer<const uint64_t>(first), per_row,
                       noise_stream};
  on_device_of(h, [&](const CudaOps& ops) {
    return ops.reparametrized_sample(pointer<const float>(mu), pointer<const float>(logvar), keys,
                                     rows, width, static_cast<Real>(real), pointer<void>(h),
                                     pointer<void>(stream));
  });
}

void advance(uintptr_t first, uint64_t samples, uintptr_t stream) {
  on_device_of(first, [&](const CudaOps& ops) {
    return ops.advance(pointer<uint64_t>(first), samples, pointer<void>(stream));
  });
}

void interpolate(uintptr_t a, uintptr_t b, uintptr_t t, bool spherical, size_t rows, size_t steps,
                 size_t width, int32_t real, uintptr_t h, uintptr_t stream) {
  on_device_of(h, [&](const CudaOps& ops) {
    return ops.batched_interpolate(
        pointer<const float>(a), pointer<const float>(b), pointer<const float>(t),
        spherical ? Interpolation::kSpherical : Interpolation::kLinear, rows, steps, width,
        static_cast<Real>(real), pointer<void>(h), pointer<void>(stream));
  });
}

void levels(uintptr_t images, size_t rows, size_t channels, size_t pixels, uintptr_t out,
            uintptr_t stream) {
  on_device_of(out, [&](const CudaOps& ops) {
    return ops.image_levels(pointer<const float>(images), rows, channels, pixels,
                            pointer<uint8_t>(out), pointer<void>(stream));
  });
}

}  // namespace

void bind_cuda(py::module_& module) {
  module.def("cuda_devices", &devices);
  module.def("cuda_sample", &sample);
  module.def("cuda_advance", &advance);
  module.def("cuda_interpolate", &interpolate);
  module.def("cuda_levels", &levels);
}

}  // namespace zoo::python
