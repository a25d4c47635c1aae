// Opens OpenVINO and our backend for it, a library of its own, where both are installed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "backends/backend.h"

namespace zoo {

bool openvino_can(const std::string& precision);
std::string openvino_version();
std::unique_ptr<Backend> make_openvino(const BackendConfig& config);

// What libzoo_openvino.so exports under the name zoo_openvino_entry.
struct OpenVinoEntry {
  uint64_t interface;  // kOpenVinoInterface of both sides must agree (zoo_interfaces.h)
  const char* built_for;
  std::string (*version)();
  std::unique_ptr<Backend> (*make)(const BackendConfig&);
};

}  // namespace zoo
