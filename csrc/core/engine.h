// A loaded engine file: its manifest, the backend that runs it, and the pool of workers.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "base/fork.h"
#include "core/instance_pool.h"
#include "core/placement.h"
#include "core/run_sizes.h"
#include "format/file_contents.h"
#include "zoo/manifest.h"
#include "zoo/options.h"

namespace zoo {

class Engine {
 public:
  // roles: those that the file may have. Throws as the constructor of LoadedEngine.
  Engine(const std::string& path, const Options& options, const std::vector<std::string>& roles);

  const Manifest& manifest() const { return manifest_; }
  std::string backend_name() const { return placement_.backend->name; }
  const std::string& path() const { return path_; }
  size_t instances() const { return placement_.instances; }
  std::string device() const { return placement_.device_name(); }
  uint64_t peak_device_bytes() { return backend().peak_device_bytes(); }

  // A forked child gets new ones at the first call, as it inherits no threads.
  Backend& backend();
  InstancePool& pool();

  // Chooses the rows of one run of the graph for a request of n rows, at most `batch` (0: no
  // limit), and prepares the backend for it. If the device runs out of memory, it warns and
  // chooses fewer. Throws ArgumentError, OutOfMemoryError.
  size_t prepare(uint64_t n, size_t batch);

  // Checks that `data` lies in `memory`; null passes. Throws ArgumentError with the argument's
  // name.
  void check_memory(const char* name, const void* data, Memory memory);

 private:
  // Returns `rows` if runs of that size give a row the same bits as runs of the usual size, else
  // the usual size. Measured on this machine when a size is first requested.
  size_t match_usual_bits(size_t rows);

  struct ProcessState {
    std::mutex mutex;
    std::unique_ptr<Backend> backend;
    std::unique_ptr<InstancePool> pool;  // destroyed first: its workers use the backend
    std::atomic<bool> ready{false};
    std::mutex sizes_mutex;
    std::map<size_t, bool> has_usual_bits;  // by the rows of a run
  };
  ProcessState& process_state();

  const std::string path_;
  // Null for a plan. Kept so that a forked child can create its own backend even if the file has
  // been moved or replaced.
  std::unique_ptr<const FileContents> file_;
  Manifest manifest_;
  std::string precision_;
  Placement placement_;
  std::unique_ptr<RunSizes> sizes_;
  PerProcess<ProcessState> state_;
};

}  // namespace zoo
