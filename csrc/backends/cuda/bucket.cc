#include "backends/cuda/bucket.h"

#include <algorithm>
#include <cstring>

#include "ops/reparametrized_sample.h"

namespace zoo {

size_t CudaBucket::reserve(size_t bytes) {
  const size_t begin = end_;
  end_ += device_aligned(bytes);
  return begin;
}

void CudaBucket::reserve_output(const std::string& name, size_t bytes) {
  if (outputs_.empty()) outputs_begin_ = end_;
  outputs_.push_back(reserve_tensor(name, bytes));
  outputs_end_ = end_;
}

void CudaBucket::allocate(size_t inputs_end) {
  device_ = allocate_device_memory(end_);
  in_ = allocate_pinned_memory(std::max(inputs_end, size_t{1}));
  out_ = allocate_pinned_memory(outputs_end_ - outputs_begin_);
}

void CudaBucket::stage_keys(const RunArguments& arguments, size_t count) {
  const auto words = [&](const char* name) {
    return static_cast<const uint64_t*>(require_input(arguments, name).data);
  };
  const NoiseKeys keys{words(io::kSeed), words(io::kFirst), arguments.keys != 1, 0};
  auto* const seeds = reinterpret_cast<uint64_t*>(in_.bytes());
  for (size_t row = 0; row < count; ++row) {
    seeds[row] = keys.seed_of(row);
    seeds[count + row] = keys.sample_of(row);
  }
}

void CudaBucket::enqueue_download() {
  check_cuda(cuda_ops().copy(out_.get(), device_.bytes() + outputs_begin_,
                             outputs_end_ - outputs_begin_, stream_.get()));
}

template <typename Call>
void CudaBucket::for_each_output(const RunArguments& arguments, Memory memory,
                                 const Call& call) const {
  for (const Binding& output : arguments.outputs) {
    if (output.memory != memory) continue;
    for (const Part& part : outputs_) {
      if (part.name != output.name) continue;
      call(output.data, part.offset, part.bytes / arguments.rows * used_rows(arguments));
    }
  }
}

void CudaBucket::run(const RunArguments& arguments) {
  const CudaOps& ops = cuda_ops();
  const SynchronizeOnError synchronize(stream_);
  enqueue(arguments);
  for_each_output(arguments, Memory::kDevice, [&](void* to, size_t offset, size_t bytes) {
    check_cuda(ops.copy(to, device_.bytes() + offset, bytes, stream_.get()));
  });
  check_cuda(ops.synchronize(stream_.get()));
  for_each_output(arguments, Memory::kHost, [&](void* to, size_t offset, size_t bytes) {
    std::memcpy(to, out_.bytes() + offset - outputs_begin_, bytes);
  });
}

}  // namespace zoo
