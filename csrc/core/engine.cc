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
  // TensorRT reads the file of a plan by itself, once.
  if (!manifest_.plan.buckets.empty()) file_.reset();
  try {
    process_state();
  } catch (const BackendUnavailableError&) {
    if (!placement_.fallback) throw;
    placement_.backend = placement_.fallback;
    process_state();
  }
}

Engine::ProcessState& Engine::process_state() {
  ProcessState& state = state_.get();
  if (state.ready.load(std::memory_order_acquire)) return state;
  const std::lock_guard<std::mutex> lock(state.mutex);
  if (state.ready) return state;
  const std::string_view graph = file_ ? file_->text() : std::string_view();
  state.backend = placement_.backend->make(
      {path_, graph, precision_, placement_.instances, &manifest_, placement_.device});
  state.pool = std::make_unique<InstancePool>(placement_.instances);
  state.ready.store(true, std::memory_order_release);
  return state;
}

Backend& Engine::backend() { return *process_state().backend; }
InstancePool& Engine::pool() { return *process_state().pool; }

size_t Engine::prepare(uint64_t n, size_t batch) {
  while (true) {
    const size_t rows = match_usual_bits(sizes_->choose(n, batch));
    if (!backend().fixed_batch()) return rows;
    try {
      backend().prepare(rows);
      return rows;
    } catch (const OutOfMemoryError& error) {
      if (!sizes_->exclude_from(rows)) throw;
      warn("'" + path_ + "' runs fewer images at a time than " + std::to_string(rows) + ": " +
           error.what());
    }
  }
}

size_t Engine::match_usual_bits(size_t rows) {
  // For fp32 the export has measured this (batch_min). Other precisions depend on the CPU: of two
  // with bf16, one may have matrix units, which only some run sizes use.
  const size_t usual = sizes_->usual();
  const bool exact = placement_.backend->rows_match_across_sizes || precision_ == "fp32";
  if (placement_.on_gpu() || exact || rows == usual) return rows;
  ProcessState& state = process_state();
  const std::lock_guard<std::mutex> lock(state.sizes_mutex);
  const auto known = state.has_usual_bits.find(rows);
  if (known != state.has_usual_bits.end()) return known->second ? rows : usual;
  bool same = false;
  const auto work = [&](size_t instance, size_t) {
    same = rows_match_across_sizes(state.backend.get(), manifest_, instance, std::min(rows, usual),
                                   std::max(rows, usual));
  };
  state.pool->run(std::make_shared<Job>(1, work), {});
  state.has_usual_bits.emplace(rows, same);
  return same ? rows : usual;
}

void Engine::check_memory(const char* name, const void* data, Memory memory) {
  if (memory == Memory::kHost || !data) return;
  if (!placement_.on_gpu()) {
    throw ArgumentError(std::string(name) + ": expected memory of the host, because '" + path_ +
                        "' runs on the CPU");
  }
  int device = -1;
  const OnDevice current(placement_.device);
  check_cuda(cuda_ops().device_of(data, &device));
  if (device == placement_.device) return;
  throw ArgumentError(std::string(name) + ": expected memory of " + placement_.device_name() +
                      ", where '" + path_ + "' runs, got memory of " +
                      (device < 0 ? "the host" : "cuda:" + std::to_string(device)));
}

}  // namespace zoo
