#include "core/engine.h"

#include <algorithm>

#include "backends/cuda/memory.h"
#include "base/text.h"
#include "base/warnings.h"
#include "core/row_check.h"
#include "format/engine_file.h"
#include "zoo/errors.h"

namespace zoo {

Engine::Engine(const std::string& path, const Options& options,
               const std::vector<std::string>& roles)
    : path_(path), precision_(options.precision) {
  if (options.instances > 4096) {
    throw ArgumentError("instances: expected at most 4096, got " +
                        std::to_string(options.instances));
  }
  file_ = std::make_unique<const FileContents>(path);
  manifest_ = read_manifest(*file_);
  if (std::find(roles.begin(), roles.end(), manifest_.role) == roles.end()) {
    throw ArgumentError("'" + path + "' has the role '" + manifest_.role + "', expected " +
                        alternatives(roles, /*quoted=*/true));
  }
  check_engine_file(*file_, manifest_);
  placement_ = place(path, manifest_, options);
  sizes_ = std::make_unique<RunSizes>(&manifest_, &placement_, options);
  // TensorRT opens it by itself, once.
  if (!manifest_.plan.buckets.empty()) file_.reset();
  live();
}

Engine::Live& Engine::live() {
  Live& here = live_.get();
  if (here.ready.load(std::memory_order_acquire)) return here;
  const std::lock_guard<std::mutex> lock(here.mutex);
  if (here.ready) return here;
  here.backend = make();
  here.pool = std::make_unique<InstancePool>(placement_.instances);
  here.ready.store(true, std::memory_order_release);
  return here;
}

std::unique_ptr<Backend> Engine::make() const {
  const std::string_view graph = file_ ? file_->text() : std::string_view();
  return placement_.backend->make(
      {path_, graph, precision_, placement_.instances, &manifest_, placement_.device});
}

Backend& Engine::backend() { return *live().backend; }
InstancePool& Engine::pool() { return *live().pool; }

size_t Engine::prepare(uint64_t n, size_t batch) {
  while (true) {
    const size_t rows = with_usual_bits(sizes_->choose(n, batch));
    if (!backend().fixed_batch()) return rows;
    try {
      backend().prepare(rows);
      return rows;
    } catch (const OutOfMemoryError& error) {
      if (!sizes_->leave_out(rows)) throw;
      warn("'" + path_ + "' runs fewer images at a time than " + std::to_string(rows) + ": " +
           error.what());
    }
  }
}

size_t Engine::with_usual_bits(size_t rows) {
  // In fp32 the export has looked (batch_min). What other precisions do is up to the CPU: of
  // two that both have bf16, only one may have matrix units, which other sizes of a run use.
  const size_t usual = sizes_->usual();
  if (placement_.on_gpu() || precision_ == "fp32" || rows == usual) return rows;
  Live& here = live();
  const std::lock_guard<std::mutex> lock(here.sizes_mutex);
  const auto found = here.usual.find(rows);
  if (found != here.usual.end()) return found->second ? rows : usual;
  bool same = false;
  const auto work = [&](size_t instance, size_t) {
    same = rows_stand_alone(here.backend.get(), manifest_, instance, std::min(rows, usual),
                            std::max(rows, usual));
  };
  here.pool->run(std::make_shared<Job>(1, work), {});
  here.usual.emplace(rows, same);
  return same ? rows : usual;
}

void Engine::check_memory(const char* name, const void* data, Memory memory) {
  if (memory == Memory::kHost || !data) return;
  if (!placement_.on_gpu()) {
    throw ArgumentError(std::string(name) + ": expected memory of the host, for '" + path_ +
                        "' runs on the CPU");
  }
  int found = -1;
  const OnDevice here(placement_.device);
  check_cuda(cuda_ops().device_of(data, &found));
  if (found == placement_.device) return;
  throw ArgumentError(std::string(name) + ": expected memory of " + placement_.device_name() +
                      ", where '" + path_ + "' runs, got memory of " +
                      (found < 0 ? "the host" : "cuda:" + std::to_string(found)));
}

}  // namespace zoo
