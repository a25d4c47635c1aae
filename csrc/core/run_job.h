// Jobs of runs of a graph.
#pragma once

#include <functional>
#include <memory>

#include "backends/backend.h"
#include "core/instance_pool.h"

namespace zoo {

// Creates a job of `chunks` runs of a graph, run(instance, chunk, team), for n rows in all. If
// there is only one row, idle instances help with it where the backend can split it.
std::shared_ptr<Job> make_run_job(Backend* backend, uint64_t n, size_t chunks,
                                  std::function<void(size_t, size_t, Team*)> run);

}  // namespace zoo
