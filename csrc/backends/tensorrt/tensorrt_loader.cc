#include "backends/tensorrt/tensorrt_loader.h"

#include <dlfcn.h>

#include <cstdlib>
#include <map>
#include <mutex>

#include "base/library.h"
#include "zoo/errors.h"
#include "zoo_interfaces.h"

namespace zoo {
namespace {

struct Library {
  const char* name;    // without the suffix
  const char* folder;  // in NVIDIA's wheels
};

// A distribution of TensorRT: TensorRT itself, or TensorRT for RTX.
struct Distribution {
  const char* title;
  const char* own;          // our library for it
  const char* headers;      // environment variable of the build with the folder of the headers
  const char* environment;  // environment variable with the file or folder of the library
  std::vector<Library> libraries;
  const char* install;  // command that installs it, without the version
};

// The lean library runs plans that were built to be compatible with later versions. The dispatch
// library is not listed: it needs permission to run code that is contained in the plan.
const Distribution& find_distribution(const std::string& target) {
  static const std::map<std::string, Distribution> known = {
      {"tensorrt",
       {"TensorRT",
        "libzoo_tensorrt.so",
        "TENSORRT_HOME",
        "ZOO_TENSORRT_LIBRARY",
        {{"libnvinfer", "tensorrt_libs"}, {"libnvinfer_lean", "tensorrt_lean_libs"}},
        "pip install 'tensorrt=="}},
      {"tensorrt-rtx",
       {"TensorRT for RTX",
        "libzoo_tensorrt_rtx.so",
        "TENSORRT_RTX_HOME",
        "ZOO_TENSORRT_RTX_LIBRARY",
        {{"libtensorrt_rtx", "tensorrt_rtx_libs"}},
        "pip install 'tensorrt-rtx-cu13-libs=="}},
  };
  return known.at(target);
}

struct Loaded {
  const TensorRtEntry* entry = nullptr;
  void* tensorrt = nullptr;
};

const TensorRtEntry* open_entry(const Distribution& distribution, const std::string& plan) {
  const std::string path = find_own_library("", distribution.own);
  if (path.empty()) {
    throw BackendUnavailableError(
        "'" + plan + "' is a plan of " + distribution.title + ", and " + distribution.own +
        ", which opens it without Python, is not beside libzoo.so: no C++ headers of " +
        distribution.title + " were found when it was built. Set " + distribution.headers +
        " to the folder that has include/NvInferRuntime.h and install generator-zoo from source "
        "again, or open the plan in Python (import runtime)");
  }
  void* own = open_library(path, /*global=*/false);
  const auto* entry =
      static_cast<const TensorRtEntry*>(library_symbol(own, "zoo_tensorrt_entry", path));
  if (entry->interface != kTensorRtInterface) {
    throw BackendUnavailableError("'" + path + "' belongs to another version of generator-zoo");
  }
  return entry;
}

// Opens the library where the environment variable points, else where the system's loader finds
// it, else from a wheel.
void* open_tensorrt(const Distribution& distribution, int major, std::string* path) {
  const std::string suffix = ".so." + std::to_string(major);
  const char* const value = std::getenv(distribution.environment);
  const bool configured = value && *value;
  std::string attempts;
  for (const Library& library : distribution.libraries) {
    const std::string name = library.name + suffix;
    if (!configured) {
      if (void* handle = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) {
        *path = name;
        return handle;
      }
      const char* reason = ::dlerror();
      attempts += std::string("; ") + (reason ? reason : name.c_str());
    }
    *path = find_library(distribution.environment, library.folder, name);
    if (!path->empty()) return open_library(*path, /*global=*/false);
    const std::string other =
        find_library(distribution.environment, library.folder, std::string(library.name) + ".so.");
    if (!other.empty()) attempts += "; '" + other + "' is of another version";
  }
  const std::string version = std::to_string(major);
  throw BackendUnavailableError(
      std::string(distribution.title) + " " + version +
      ", which this build is for, is not installed: " + distribution.install + version +
      ".*', or set " + distribution.environment + " to the folder of " +
      distribution.libraries.front().name + suffix +
      (configured ? ", which is not in '" + std::string(value) + "'" : "") + attempts);
}

Loaded load(const std::string& target, const std::string& plan) {
  static std::mutex mutex;
  static auto* const all = new std::map<std::string, Loaded>;
  const std::lock_guard<std::mutex> lock(mutex);
  if (const auto known = all->find(target); known != all->end()) return known->second;
  const Distribution& distribution = find_distribution(target);
  Loaded fresh;
  fresh.entry = open_entry(distribution, plan);
  std::string path;
  fresh.tensorrt = open_tensorrt(distribution, fresh.entry->major, &path);
  fresh.entry->check(fresh.tensorrt, path);
  return all->emplace(target, fresh).first->second;
}

}  // namespace

std::unique_ptr<PlanEngine> open_plan_natively(const std::string& path, const Manifest& manifest) {
  const Loaded loaded = load(manifest.plan.target, path);
  return loaded.entry->open(loaded.tensorrt, path, manifest);
}

}  // namespace zoo
