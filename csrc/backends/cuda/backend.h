// Base of the backends on a GPU: instances with a stream each, and for each instance a bucket for
// every run size that was prepared.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "backends/backend.h"
#include "backends/cuda/bucket.h"

namespace zoo {

class CudaBackend : public Backend {
 public:
  ~CudaBackend() override;

  NoiseFrom noise_from() const override {
    return noise_.draws ? NoiseFrom::kBackend : NoiseFrom::kCaller;
  }
  bool takes_row_keys() const override { return noise_.row_keys; }
  bool fixed_batch() const override { return true; }
  bool copies() const override { return true; }
  void prepare(size_t rows) override;
  void run(size_t instance, const RunArguments& arguments) override;
  uint64_t peak_device_bytes() const override;

 protected:
  CudaBackend(int device, size_t instances);

  // Creates the bucket of an instance for a run size. Called with the device current and the
  // instance idle.
  virtual std::unique_ptr<CudaBucket> make_bucket(size_t instance, size_t rows) = 0;

  // Called by the destructors of derived classes, before they destroy what the buckets use.
  void drop_buckets() noexcept;

  const CudaStream& stream(size_t instance) const { return instances_[instance]->stream; }
  size_t instances() const { return instances_.size(); }

  const int device_;
  GraphNoise noise_;

 private:
  struct Instance {
    CudaStream stream;
    std::mutex mutex;  // held by the thread that uses it
  };

  std::vector<std::unique_ptr<Instance>> instances_;
  mutable std::mutex mutex_;
  std::map<size_t, std::vector<std::unique_ptr<CudaBucket>>> buckets_;
  uint64_t device_bytes_ = 0;
};

}  // namespace zoo
