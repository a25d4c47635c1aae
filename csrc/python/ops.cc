#include "ops/batched_interpolate.h"
#include "ops/reparametrized_sample.h"
#include "python/bindings.h"

namespace zoo::python {
namespace {

// runtime/noise.py and runtime/ops.py check shapes.

std::vector<py::ssize_t> make_shape(const std::vector<size_t>& sizes) {
  return {sizes.begin(), sizes.end()};
}

py::array_t<float> normals(uint64_t seed, uint64_t first, size_t rows, size_t width,
                           uint32_t stream) {
  auto eps = new_array<float>("n", make_shape({rows, width}));
  float* out = eps.mutable_data();
  without_gil([&] { fill_normal({seed, first, stream}, rows, width, out); });
  return eps;
}

py::array_t<uint32_t> philox(const py::array_t<uint32_t, py::array::c_style>& counter,
                             const py::array_t<uint32_t, py::array::c_style>& key) {
  const uint32_t* c = counter.data();
  const Philox4 bits = philox4x32_10({c[0], c[1], c[2], c[3]}, key.data()[0], key.data()[1]);
  py::array_t<uint32_t> out(4);
  uint32_t* o = out.mutable_data();
  o[0] = bits.x;
  o[1] = bits.y;
  o[2] = bits.z;
  o[3] = bits.w;
  return out;
}

using Words = py::array_t<uint64_t, py::array::c_style>;

py::array_t<float> sample(const Floats& mu, const Floats& logvar, const Words& seed,
                          const Words& first, uint32_t stream) {
  const auto rows = static_cast<size_t>(mu.shape(0));
  const auto width = static_cast<size_t>(mu.shape(1));
  auto h = new_array<float>("mu", make_shape({rows, width}));
  float* out = h.mutable_data();
  const float* m = mu.data();
  const float* v = logvar.data();
  const NoiseKeys keys{seed.data(), first.data(), seed.size() != 1, stream};
  without_gil([&] { reparametrized_sample(m, v, keys, rows, width, out); });
  return h;
}

py::array_t<float> interpolate(const Floats& a, const Floats& b, const Floats& t, bool spherical) {
  const auto rows = static_cast<size_t>(a.shape(0));
  const auto width = static_cast<size_t>(a.shape(1));
  const auto steps = static_cast<size_t>(t.shape(0));
  auto h = new_array<float>("t", make_shape({rows, steps, width}));
  float* out = h.mutable_data();
  const float* pa = a.data();
  const float* pb = b.data();
  const float* pt = t.data();
  const Interpolation mode = spherical ? Interpolation::kSpherical : Interpolation::kLinear;
  without_gil([&] { batched_interpolate(pa, pb, pt, mode, rows, steps, width, out); });
  return h;
}

}  // namespace

void bind_ops(py::module_& module) {
  module.def("normals", &normals);
  module.def("philox", &philox);
  module.def("reparametrized_sample", &sample);
  module.def("batched_interpolate", &interpolate);
  module.def("noise_kernel_isa", &noise_kernel_isa);
  module.def("use_noise_kernel_isa", &use_noise_kernel_isa);
}

}  // namespace zoo::python
