#include "backends/cuda/backend.h"

namespace zoo {

CudaBackend::CudaBackend(int device, size_t instances) : device_(device) {
  const OnDevice current(device_);
  while (instances_.size() < instances) {
    instances_.push_back(std::make_unique<Instance>());
    instances_.back()->stream = make_cuda_stream();
  }
}

CudaBackend::~CudaBackend() {
  const OnDevice current(device_, std::nothrow);
  buckets_.clear();
  instances_.clear();
}

void CudaBackend::drop_buckets() noexcept { buckets_.clear(); }

void CudaBackend::prepare(size_t rows) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (buckets_.count(rows) != 0) return;
  const OnDevice current(device_);
  std::vector<std::unique_ptr<CudaBucket>> buckets;
  uint64_t bytes = 0;
  for (size_t instance = 0; instance < instances_.size(); ++instance) {
    // A bucket of another size may be running there, or capturing its graph.
    const std::lock_guard<std::mutex> exclusive(instances_[instance]->mutex);
    buckets.push_back(make_bucket(instance, rows));
    bytes += buckets.back()->device_bytes();
  }
  buckets_.emplace(rows, std::move(buckets));
  device_bytes_ += bytes;
}

void CudaBackend::run(size_t instance, const RunArguments& arguments) {
  CudaBucket* bucket = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    bucket = buckets_.at(arguments.rows).at(instance).get();
  }
  const OnDevice current(device_);
  const std::lock_guard<std::mutex> exclusive(instances_[instance]->mutex);
  bucket->run(arguments);
}

uint64_t CudaBackend::peak_device_bytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return device_bytes_;
}

}  // namespace zoo
