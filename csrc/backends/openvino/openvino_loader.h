// Opens OpenVINO and our backend for it, which is a library of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "backends/backend.h"

namespace zoo {

bool openvino_can(const std::string& precision);
std::string openvino_version();
std::unique_ptr<Backend> make_openvino(const BackendConfig& config);

// Exported by libzoo_openvino.so as zoo_openvino_entry.
struct OpenVinoEntry {
  uint64_t interface;  // must be our kOpenVinoInterface (zoo_interfaces.h)
  const char* built_for;
  std::string (*version)();
  std::unique_ptr<Backend> (*make)(const BackendConfig&);
};

}  // namespace zoo
