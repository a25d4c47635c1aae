#include "backends/native/plan.h"

#include <chrono>

#include "backends/native/planner.h"

namespace zoo::native {

Plan::Plan(const KernelSet& kernels, const Network& network, size_t images, const Sharing& sharing)
    : images_(images) {
  Planner planner(kernels, network, images, sharing);
  size_t segment = kNone;
  for (const Turn& turn : planner.turns()) {
    const Operator& op = *network.operators[turn.op];
    if (turn.segment != segment) segments_.push_back({turn.apart, steps_.size(), steps_.size()});
    segment = turn.segment;
    if (op.joins()) continue;
    steps_.push_back({turn.op, op.place(planner.places(op))});
    if (steps_.back().step->parts() > 1) shared_operations_ += op.operations();
    segments_.back().end = steps_.size();
  }
  maps_ = planner.bytes();
  floats_ = planner.floats();
}

void Plan::run(const void* const* inputs, void* const* outputs, size_t first, size_t count,
               unsigned char* maps, float* floats, double* seconds) const {
  using Clock = std::chrono::steady_clock;
  const Run run{{maps, floats, floats}, inputs, outputs, first};
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

void Plan::lead(const void* const* inputs, void* const* outputs, size_t row, unsigned char* maps,
                float* floats, Team* team) const {
  const Run run{{maps, floats, floats}, inputs, outputs, row};
  team->begin(run);
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = *steps_[i].step;
    if (step.parts() == 1) {
      step.run(run, 0, 1);
    } else {
      team->share(i, step.parts(), [&](size_t part) { step.run_part(run, 0, part); });
    }
  }
  team->end();
}

void Plan::help(float* floats, Team* team) const {
  team->help(
      [&](const Run& shared, size_t index, size_t part) {
        Run run = shared;
        run.memory.scratch = floats;
        steps_[index].step->run_part(run, 0, part);
      },
      [&](size_t index) { return steps_[index].step->parts(); });
}

}  // namespace zoo::native
