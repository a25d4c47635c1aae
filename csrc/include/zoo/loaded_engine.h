// Base class of the classes for each role: a loaded engine file. Thread-safe.
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
  std::string backend() const;  // name of the backend in use
  size_t instances() const;
  std::string device() const;          // "cpu" or "cuda:N"
  uint64_t peak_device_bytes() const;  // of GPU memory

 protected:
  // Throws as Manifest::read; EngineFileError if the file is damaged or its graph does not match
  // its manifest; BackendUnavailableError; DeviceUnavailableError; ArgumentError for invalid
  // options, or if the role of the file is not in `roles`.
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
