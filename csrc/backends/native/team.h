// Threads that compute one image together, in parts of its steps.
//
// The leader runs the steps in order and offers the parts of those that are split; whoever is free
// takes the next part. Nobody is waited for but threads at work on a part, so helpers may come
// late, or never.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#include "backends/backend.h"
#include "backends/native/network.h"
#include "base/pause.h"

namespace zoo::native {

class Team : public zoo::Team {
 public:
  // For the leader: begin(), share() for each step that is split, end().
  void begin(const Run& run) { run_ = run; }

  // Runs the parts of a step, run_part(part), together with the helpers.
  template <typename RunPart>
  void share(size_t step, size_t parts, const RunPart& run_part) {
    offer_.store((step + 1) << kPartBits, std::memory_order_release);
    for (size_t part = 0; take(step, parts, &part);) {
      run_part(part);
      finished_.fetch_add(1, std::memory_order_release);
    }
    offered_ += parts;
    for (size_t i = 0; finished_.load(std::memory_order_acquire) != offered_; ++i) rest(i);
  }

  void end() override { offer_.store(kEnd, std::memory_order_release); }

  // For helpers: calls run_part(run, step, part) until the leader calls end(). parts(step) returns
  // the number of parts of a step.
  template <typename RunPart, typename Parts>
  void help(const RunPart& run_part, const Parts& parts) {
    for (size_t i = 0;; ++i) {
      const uint64_t offer = offer_.load(std::memory_order_acquire);
      if (offer == kEnd) return;
      const size_t step = (offer >> kPartBits) - 1;
      size_t part = 0;
      if (offer != 0 && take(step, parts(step), &part)) {
        run_part(run_, step, part);
        finished_.fetch_add(1, std::memory_order_release);
        i = 0;
      } else {
        rest(i);
      }
    }
  }

 private:
  static constexpr int kPartBits = 16;
  static constexpr uint64_t kEnd = UINT64_MAX;
  static constexpr size_t kPatience = 4096;  // pauses before a thread lets others run

  // Waits for the i-th time.
  static void rest(size_t i) {
    if (i % kPatience == kPatience - 1) {
      std::this_thread::yield();
    } else {
      pause();
    }
  }

  // Takes the next part of a step; returns false if there is none, or another step is on offer.
  bool take(size_t step, size_t parts, size_t* part) {
    uint64_t offer = offer_.load(std::memory_order_acquire);
    while (offer != kEnd && offer >> kPartBits == step + 1) {
      *part = offer & ((uint64_t{1} << kPartBits) - 1);
      if (*part >= parts) return false;
      if (offer_.compare_exchange_weak(offer, offer + 1, std::memory_order_acq_rel)) return true;
    }
    return false;
  }

  Run run_{};
  // The step on offer, plus 1, and its next part; 0: none yet.
  alignas(64) std::atomic<uint64_t> offer_{0};
  alignas(64) std::atomic<size_t> finished_{0};  // parts of all steps
  size_t offered_ = 0;                           // likewise; the leader's
};

}  // namespace zoo::native
