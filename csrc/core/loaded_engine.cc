#include "zoo/loaded_engine.h"

#include "core/engine.h"

namespace zoo {

LoadedEngine::LoadedEngine(const std::string& path, const Options& options,
                           std::initializer_list<const char*> roles)
    : engine_(std::make_shared<Engine>(path, options,
                                       std::vector<std::string>(roles.begin(), roles.end()))) {}

const Manifest& LoadedEngine::manifest() const { return engine_->manifest(); }
std::string LoadedEngine::backend() const { return engine_->backend_name(); }
size_t LoadedEngine::instances() const { return engine_->instances(); }
std::string LoadedEngine::device() const { return engine_->device(); }
uint64_t LoadedEngine::peak_device_bytes() const { return engine_->peak_device_bytes(); }

}  // namespace zoo
