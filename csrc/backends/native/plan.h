// Execution plan of a network for a number of images: the memory of its maps, the order of the
// steps, and the tiles that compute them.
#pragma once

#include <memory>
#include <vector>

#include "backends/native/network.h"
#include "backends/native/team.h"

namespace zoo::native {

// Step of a plan.
struct PlacedStep {
  size_t op;  // index in Network::operators
  std::unique_ptr<Step> step;
};

class Plan {
 public:
  // Plans runs of up to `images` images at a time. The network must outlive the plan.
  Plan(const KernelSet& kernels, const Network& network, size_t images,
       const Sharing& sharing = {});

  size_t images() const { return images_; }

  // Return the memory that an instance needs: bytes of maps, and a number of floats. Both must be
  // zero before the first run.
  size_t maps() const { return maps_; }
  size_t floats() const { return floats_; }

  // Returns the steps in execution order.
  const std::vector<PlacedStep>& steps() const { return steps_; }

  // Computes rows first … first + count - 1 of the tensors, count ≤ images(), in the memory of an
  // instance. If count < images(), the missing images may be computed from arbitrary data.
  // Adds the time of each of steps() to `seconds`, unless it is null.
  void run(const void* const* inputs, void* const* outputs, size_t first, size_t count,
           unsigned char* maps, float* floats, double* seconds = nullptr) const;

  // Computes a row of the tensors, with a plan for one image, together with the threads that call
  // help() with the same team meanwhile.
  void lead(const void* const* inputs, void* const* outputs, size_t row, unsigned char* maps,
            float* floats, Team* team) const;
  // Computes parts of the steps until the leader is done, in `floats` of its own for scratch
  // memory.
  void help(float* floats, Team* team) const;
  // Returns the number of operations per image that are computed in parts.
  double shared_operations() const { return shared_operations_; }

 private:
  // Consecutive steps that run for all images at once or, if `apart`, for one image at a time.
  struct Segment {
    bool apart;
    size_t begin, end;  // range of steps
  };

  size_t images_;
  size_t maps_ = 0;
  size_t floats_ = 0;
  double shared_operations_ = 0.0;
  std::vector<PlacedStep> steps_;
  std::vector<Segment> segments_;
};

}  // namespace zoo::native
