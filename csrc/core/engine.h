// An engine file at work: its manifest, a backend that runs it, and the pool.
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
  // roles: the file must have one of them.
  Engine(const std::string& path, const Options& options, const std::vector<std::string>& roles);

  const Manifest& manifest() const { return manifest_; }
  std::string backend_name() const { return placement_.backend->name; }
  const std::string& path() const { return path_; }
  size_t instances() const { return placement_.instances; }
  std::string device() const { return placement_.device_name(); }
  uint64_t peak_device_bytes() { return backend().peak_device_bytes(); }

  // Both start again in a forked child, which has the memory but no threads.
  Backend& backend();
  InstancePool& pool();

  // Rows of one run of the graph for n rows in all, at most batch (0: no limit of
  // the caller's), for which the backend is prepared. Where it has too little memory,
  // fewer, with a warning. Throws ArgumentError, OutOfMemoryError.
  size_t prepare(uint64_t n, size_t batch);

  // Throws ArgumentError where `data`, the argument of that name, is not in the memory that is
  // said; null passes.
  void check_memory(const char* name, const void* data, Memory memory);

 private:
  // `rows`, or as many as are usual where the library gives rows other bits in fewer of them.
  // Seen on this machine, when a size is first asked for.
  size_t with_usual_bits(size_t rows);
  std::unique_ptr<Backend> make() const;

  // What works, and what was seen of it.
  struct Live {
    std::mutex mutex;
    std::unique_ptr<Backend> backend;
    std::unique_ptr<InstancePool> pool;  // goes first: workers stop before what they run goes away
    std::atomic<bool> ready{false};
    std::mutex sizes_mutex;
    std::map<size_t, bool> usual;  // whether runs of that size have the usual bits
  };
  Live& live();

  const std::string path_;
  // Null for a plan. Kept so that a forked child can make its own backend, whatever its working
  // folder is and whatever has become of the file.
  std::unique_ptr<const FileContents> file_;
  Manifest manifest_;
  std::string precision_;
  Placement placement_;
  std::unique_ptr<RunSizes> sizes_;
  PerProcess<Live> live_;
};

}  // namespace zoo
