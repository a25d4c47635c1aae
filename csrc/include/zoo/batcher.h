// Batcher: gathers the requests of many callers into runs of one generator. Thread-safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <vector>

#include "zoo/generator.h"

namespace zoo {

struct BatcherOptions {
  size_t images = 64;   // most images of a run
  double delay = 0.0;   // seconds that images wait for others at most while a run could begin
  size_t queue = 4096;  // most images that wait; a single request may have more
};

struct BatcherStatistics {
  uint64_t images = 0;  // computed
  uint64_t runs = 0;
  uint64_t rejected = 0;  // requests refused because too many images waited
  uint64_t cancelled = 0;
  uint64_t expired = 0;  // requests whose deadline passed
  size_t waiting = 0;    // images that wait now
  // Numbers of runs of 1, 2, 3 to 4, 5 to 8, … images.
  std::vector<uint64_t> run_sizes;
};

class ZOO_API Batcher {
 public:
  using Clock = std::chrono::steady_clock;
  // Called once for each request, by a thread of the batcher or by the one that calls cancel() or
  // close(): with null when the images are complete, else with what has gone wrong. Must not throw,
  // nor call the batcher.
  using Done = std::function<void(std::exception_ptr)>;

  // The generator may be used elsewhere at the same time. Throws ArgumentError for invalid options.
  explicit Batcher(const Generator& generator, const BatcherOptions& options = {});
  // Calls close().
  ~Batcher();
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  // Queue a request, and return a number for cancel(). An image is the same as if the generator got
  // its request alone. Requests share a run if they have the same kind, prior, truncation and
  // noise; those with more images than a run are computed in parts, between those of others. The
  // memory of the request and of the images, all of it on the host, must stay valid until `done` is
  // called. Throw as Generator's methods do for an invalid request, ArgumentError for mu and
  // logvar; BusyError if too many images wait; ClosedError.
  uint64_t sample(const SampleRequest& request, void* images, Done done,
                  Clock::time_point deadline = Clock::time_point::max());
  uint64_t decode(const DecodeRequest& request, void* images, Done done,
                  Clock::time_point deadline = Clock::time_point::max());

  // Computes no further image of a request, which ends with CancelledError, or as usual if all of
  // its images have begun. Does nothing for a request that has ended.
  void cancel(uint64_t number);

  // Accepts no further request, completes those accepted (or cancels them, unless `finish`), and
  // returns when all have ended. May be called again.
  void close(bool finish = true);

  BatcherStatistics statistics() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace zoo
