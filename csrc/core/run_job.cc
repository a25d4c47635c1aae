#include "core/run_job.h"

#include <utility>

namespace zoo {

std::shared_ptr<Job> make_run_job(Backend* backend, uint64_t n, size_t chunks,
                                  std::function<void(size_t, size_t, Team*)> run) {
  const size_t helpers = n == 1 ? backend->helpers(1) : 0;
  if (helpers == 0) {
    return std::make_shared<Job>(chunks, [run = std::move(run)](size_t instance, size_t chunk) {
      run(instance, chunk, nullptr);
    });
  }
  const std::shared_ptr<Team> team = backend->make_team();
  const auto work = [backend, team, run = std::move(run)](size_t instance, size_t chunk) {
    if (chunk != 0) {
      backend->help(instance, team.get());
      return;
    }
    try {
      run(instance, 0, team.get());
    } catch (...) {
      team->end();
      throw;
    }
  };
  return std::make_shared<Job>(1, work, helpers);
}

}  // namespace zoo
