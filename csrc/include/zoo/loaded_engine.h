// What the classes of all roles have in common: an engine file that is loaded. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>

#include "zoo/export.h"
#include "zoo/manifest.h"
#include "zoo/options.h"

namespace zoo {

class Engine;

class ZOO_API LoadedEngine {
 public:
  const Manifest& manifest() const;
  std::string backend() const;  // the one in use
  size_t instances() const;
  std::string device() const;          // "cpu" or "cuda:N"
  uint64_t peak_device_bytes() const;  // of the GPU's memory

 protected:
  // Throws what Manifest::read throws; EngineFileError for a file that is damaged, or whose graph
  // is not what its manifest says; BackendUnavailableError; DeviceUnavailableError; ArgumentError
  // for unknown options, or a role that is none of `roles`.
  LoadedEngine(const std::string& path, const Options& options,
               std::initializer_list<const char*> roles);
  ~LoadedEngine() = default;
  LoadedEngine(const LoadedEngine&) = default;
  LoadedEngine(LoadedEngine&&) noexcept = default;
  LoadedEngine& operator=(const LoadedEngine&) = default;
  LoadedEngine& operator=(LoadedEngine&&) noexcept = default;

  Engine& engine() const { return *engine_; }
  const std::shared_ptr<Engine>& shared_engine() const { return engine_; }

 private:
  std::shared_ptr<Engine> engine_;
};

}  // namespace zoo
