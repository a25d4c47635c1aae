#include "backends/native/plan.h"

#include "backends/native/planner.h"

namespace zoo::native {

Plan::Plan(const KernelPair& kernels, const Network& network, size_t images)
    : images_(images), element_(kernels.narrow.element) {
  Planner planner(kernels, network, images);
  size_t segment = kNone;
  for (const Turn& turn : planner.turns()) {
    const Operator& op = *network.operators[turn.op];
    if (turn.segment != segment) segments_.push_back({turn.apart, {}});
    segment = turn.segment;
    if (!op.joins()) segments_.back().steps.push_back(op.place(planner.places(op)));
  }
  maps_ = planner.elements() * element_;
  floats_ = planner.floats();
}

void Plan::run(const void* const* inputs, void* const* outputs, size_t first, size_t count,
               unsigned char* maps, float* floats) const {
  const Run run{{maps, element_, floats}, inputs, outputs, first};
  for (const Segment& segment : segments_) {
    if (!segment.apart) {
      for (const auto& step : segment.steps) step->run(run, 0, count);
      continue;
    }
    for (size_t image = 0; image < count; ++image) {
      for (const auto& step : segment.steps) step->run(run, image, 1);
    }
  }
}

}  // namespace zoo::native
