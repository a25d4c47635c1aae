#include "backends/openvino/openvino_loader.h"

#include <mutex>

#include "base/fork.h"
#include "base/library.h"
#include "zoo/errors.h"
#include "zoo_interfaces.h"

namespace zoo {
namespace {

constexpr const char* kEnvironment = "ZOO_OPENVINO_LIBRARIES";
constexpr const char* kHint =
    "install it with pip install 'generator-zoo[openvino]', or set ZOO_OPENVINO_LIBRARIES to the "
    "folder of libopenvino.so";

std::string find_openvino() {
  return find_library(kEnvironment, "openvino/libs", "libopenvino.so");
}

const OpenVinoEntry* open_entry() {
  const std::string library = find_openvino();
  if (library.empty())
    throw BackendUnavailableError(std::string("OpenVINO is not installed: ") + kHint);
  const std::string own = find_own_library("ZOO_OPENVINO_BACKEND", "libzoo_openvino.so");
  if (own.empty()) {
    throw BackendUnavailableError(
        "this build has no backend for OpenVINO: libzoo_openvino.so is not beside libzoo.so");
  }

  // Opened globally, because libzoo_openvino.so is not linked to OpenVINO: its sonames change with
  // every patch release, while its interface does not.
  open_library(library, /*global=*/true);
  const std::string folder = library.substr(0, library.find_last_of('/'));
  const std::string frontend =
      find_library(kEnvironment, "openvino/libs", "libopenvino_onnx_frontend.so");
  if (frontend.empty()) {
    throw BackendUnavailableError("OpenVINO in '" + folder + "' has no ONNX frontend");
  }
  open_library(frontend, /*global=*/true);
  void* backend = open_library(own, /*global=*/false);
  const auto* entry =
      static_cast<const OpenVinoEntry*>(library_symbol(backend, "zoo_openvino_entry", own));
  if (entry->interface != kOpenVinoInterface) {
    throw BackendUnavailableError("'" + own + "' belongs to another version of generator-zoo");
  }
  const std::string version = entry->version();
  const std::string built = entry->built_for;
  if (version.compare(0, built.size(), built) != 0) {
    throw BackendUnavailableError("OpenVINO " + version + " is installed, but this build needs " +
                                  built + ".x: pip install 'generator-zoo[openvino]'");
  }
  return entry;
}

const OpenVinoEntry* entry() {
  static std::mutex mutex;
  static const OpenVinoEntry* opened = nullptr;
  const ForkGuard guard;
  const std::lock_guard<std::mutex> lock(mutex);
  if (!opened) opened = open_entry();
  return opened;
}

}  // namespace

bool openvino_can(const std::string& precision) {
  return (precision == "fp32" || precision == "bf16") && !find_openvino().empty();
}

std::string openvino_version() { return entry()->version(); }

std::unique_ptr<Backend> make_openvino(const BackendConfig& config) {
  return entry()->make(config);
}

}  // namespace zoo
