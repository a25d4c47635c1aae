// An engine file at work: its manifest, a backend that runs it, and the pool.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "core/instance_pool.h"
#include "zoo/manifest.h"
#include "zoo/options.h"

namespace zoo {

class Engine {
 public:
  // roles: the file must have one of them.
  Engine(const std::string& path, const Options& options, const std::vector<std::string>& roles);
  ~Engine();

  const Manifest& manifest() const { return manifest_; }
  const std::string& backend_name() const { return backend_name_; }
  const std::string& path() const { return path_; }
  size_t instances() const { return instances_; }

  // Both start again in a forked child, which has the memory but no threads.
  Backend& backend();
  InstancePool& pool();

  // Rows of one run of the graph for n rows in all, at most batch (0: no limit of
  // the caller's). Smaller runs keep the activations in the cache, and one batch
  // then occupies every instance; which images come out does not depend on it.
  // It is never below the manifest's batch_min.
  size_t run_size(uint64_t n, size_t batch) const;

 private:
  size_t wanted_run_size(uint64_t n, size_t batch) const;

  struct Live;
  Live& live();

  const std::string path_;
  Manifest manifest_;
  Options options_;
  std::string backend_name_;
  size_t instances_ = 1;
  std::mutex mutex_;
  std::atomic<Live*> live_{nullptr};
};

}  // namespace zoo
