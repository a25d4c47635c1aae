#include "backends/native/plan.h"

#include <chrono>

#include "backends/native/planner.h"

namespace zoo::native {

Plan::Plan(const KernelSet& kernels, const Network& network, size_t images) : images_(images) {
  Planner planner(kernels, network, images);
  size_t segment = kNone;
  for (const Turn& turn : planner.turns()) {
    const Operator& op = *network.operators[turn.op];
    if (turn.segment != segment) segments_.push_back({turn.apart, steps_.size(), steps_.size()});
    segment = turn.segment;
    if (op.joins()) continue;
    steps_.push_back({turn.op, op.place(planner.places(op))});
    segments_.back().end = steps_.size();
  }
  maps_ = planner.bytes();
  floats_ = planner.floats();
}

void Plan::run(const void* const* inputs, void* const* outputs, size_t first, size_t count,
               unsigned char* maps, float* floats, double* seconds) const {
  using Clock = std::chrono::steady_clock;
  const Run run{{maps, floats}, inputs, outputs, first};
  const auto run_steps = [&](const Segment& segment, size_t image, size_t images) {
    for (size_t i = segment.begin; i < segment.end; ++i) {
      if (!seconds) {
        steps_[i].step->run(run, image, images);
        continue;
      }
      const auto begin = Clock::now();
      steps_[i].step->run(run, image, images);
      seconds[i] += std::chrono::duration<double>(Clock::now() - begin).count();
    }
  };
  for (const Segment& segment : segments_) {
    if (!segment.apart) {
      run_steps(segment, 0, count);
      continue;
    }
    for (size_t image = 0; image < count; ++image) run_steps(segment, image, 1);
  }
}

}  // namespace zoo::native
