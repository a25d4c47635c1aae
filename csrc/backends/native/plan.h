// The plan by which some images go through a network: where its maps lie, in which order and in
// which tiles they are computed.
#pragma once

#include <memory>
#include <vector>

#include "backends/native/network.h"

namespace zoo::native {

struct PlacedStep {
  size_t op;  // of the network
  std::unique_ptr<Step> step;
};

class Plan {
 public:
  // For runs of up to `images` images at a time. The network outlives the plan.
  Plan(const KernelPair& kernels, const Network& network, size_t images);

  size_t images() const { return images_; }

  // Bytes of maps, and floats, that an instance needs; zeros to begin with.
  size_t maps() const { return maps_; }
  size_t floats() const { return floats_; }

  // In the order in which they run.
  const std::vector<PlacedStep>& steps() const { return steps_; }

  // Rows first … first + count - 1 of the tensors, count ≤ images(), in the memory of an instance.
  // Images that a run lacks are computed too, of whatever is in the memory.
  // Adds to `seconds`, if it is given, how long each of steps() took.
  void run(const void* const* inputs, void* const* outputs, size_t first, size_t count,
           unsigned char* maps, float* floats, double* seconds = nullptr) const;

 private:
  // Steps that run for all images at once, or one image after the other.
  struct Segment {
    bool apart;
    size_t begin, end;  // among the steps
  };

  size_t images_;
  size_t element_;
  size_t maps_ = 0;
  size_t floats_ = 0;
  std::vector<PlacedStep> steps_;
  std::vector<Segment> segments_;
};

}  // namespace zoo::native
