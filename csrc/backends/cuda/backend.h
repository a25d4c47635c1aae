// What backends on a GPU have in common: instances with a stream each, and for each a bucket of
// every size that was asked for.
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

  // All draw by themselves what they draw.
  NoiseFrom noise_from() const override {
    return draws_ ? NoiseFrom::kBackend : NoiseFrom::kCaller;
  }
  bool fixed_batch() const override { return true; }
  bool copies() const override { return true; }
  void prepare(size_t rows) override { make_buckets(rows); }
  void run(size_t instance, const RunArguments& arguments) override;
  uint64_t peak_device_bytes() const override;

 protected:
  CudaBackend(int device, size_t instances);

  // What an instance does in runs of that size. The device is the thread's, the instance idle.
  virtual std::unique_ptr<CudaBucket> make_bucket(size_t instance, size_t rows) = 0;

  // For all instances; nothing where they are there already.
  void make_buckets(size_t rows);

  // For destructors of what the buckets use, which goes before their streams.
  void drop_buckets() noexcept;

  const CudaStream& stream(size_t instance) const { return instances_[instance]->stream; }
  size_t instances() const { return instances_.size(); }

  const int device_;
  bool draws_ = false;  // the latent, or noise of layers

 private:
  // What one thread at a time uses.
  struct Instance {
    CudaStream stream;
    std::mutex mutex;
  };

  std::vector<std::unique_ptr<Instance>> instances_;
  mutable std::mutex mutex_;
  std::map<size_t, std::vector<std::unique_ptr<CudaBucket>>> buckets_;
  uint64_t device_bytes_ = 0;
};

}  // namespace zoo
