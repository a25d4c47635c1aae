#include "base/library.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <optional>
#include <system_error>
#include <vector>

#include "base/fork.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

namespace fs = std::filesystem;

// Never destroyed, because engines may be loaded while the process exits.
std::mutex search_mutex;
std::vector<std::string>& search_folders() {
  static auto* const folders = new std::vector<std::string>;
  return *folders;
}

std::string parent(const std::string& path) { return fs::path(path).parent_path().string(); }

std::vector<std::string> search_roots() {
  std::vector<std::string> roots;
  {
    const ForkGuard guard;
    const std::lock_guard<std::mutex> lock(search_mutex);
    roots = search_folders();
  }
  // A wheel installs libzoo in site-packages/runtime/lib.
  if (const std::string own = parent(parent(own_folder())); !own.empty()) roots.push_back(own);
  return roots;
}

// Names of the entries of a folder, sorted; none if it cannot be read.
std::vector<std::string> list_folder(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; entry != end; entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string first_with_prefix(const std::string& folder, const std::string& prefix) {
  for (const std::string& name : list_folder(folder)) {
    if (name.compare(0, prefix.size(), prefix) == 0) return folder + "/" + name;
  }
  return "";
}

// The file that an environment variable names, or the first with the prefix in the folder that it
// names; nullopt if the variable is unset or empty.
std::optional<std::string> configured_library(const char* environment, const std::string& prefix) {
  const char* const value = std::getenv(environment);
  if (!value || !*value) return std::nullopt;
  std::error_code error;
  return fs::is_directory(value, error) ? first_with_prefix(value, prefix) : value;
}

}  // namespace

std::string own_library() {
  Dl_info info{};
  if (!::dladdr(reinterpret_cast<const void*>(&own_library), &info) || !info.dli_fname) return "";
  std::error_code error;
  return fs::canonical(info.dli_fname, error).string();
}

std::string own_folder() { return parent(own_library()); }

std::string find_own_library(const char* environment, const std::string& name) {
  if (const auto configured = configured_library(environment, name)) return *configured;
  // This library's own folder comes first: another installation may be of another version.
  std::vector<std::string> folders = {own_folder()};
  for (const auto& root : search_roots()) folders.push_back(root + "/runtime/lib");
  for (const auto& folder : folders) {
    const std::string path = folder + "/" + name;
    if (!folder.empty() && ::access(path.c_str(), F_OK) == 0) return path;
  }
  return "";
}

std::string find_library(const char* environment, const std::string& relative,
                         const std::string& prefix) {
  if (const auto configured = configured_library(environment, prefix)) return *configured;
  for (const auto& root : search_roots()) {
    const std::string path = first_with_prefix(root + "/" + relative, prefix);
    if (!path.empty()) return path;
  }
  return "";
}

std::string wheel_version(const std::string& name) {
  const std::string prefix = name + "-";
  const std::string suffix = ".dist-info";
  for (const auto& root : search_roots()) {
    const std::string path = first_with_prefix(root, prefix);
    const size_t begin = root.size() + 1 + prefix.size();
    if (path.size() <= begin + suffix.size()) continue;
    const size_t end = path.size() - suffix.size();
    if (path.compare(end, suffix.size(), suffix) == 0) return path.substr(begin, end - begin);
  }
  return "";
}

void* open_library(const std::string& path, bool global) {
  void* library = ::dlopen(path.c_str(), RTLD_NOW | (global ? RTLD_GLOBAL : RTLD_LOCAL));
  if (!library) {
    const char* reason = ::dlerror();
    throw BackendUnavailableError("cannot open '" + path + "': " + (reason ? reason : "unknown"));
  }
  return library;
}

bool preload_library(const std::string& relative, const std::string& name) {
  const auto open = [](const std::string& path) {
    return ::dlopen(path.c_str(), RTLD_LAZY | RTLD_GLOBAL) != nullptr;
  };
  if (open(name)) return true;
  for (const auto& root : search_roots()) {
    const std::string packages = root + "/" + relative;
    for (const std::string& package : list_folder(packages)) {
      const std::string path = packages + "/" + package + "/lib/" + name;
      if (::access(path.c_str(), R_OK) == 0) return open(path);
    }
  }
  return false;
}

bool has_nvidia_driver() {
  void* driver = ::dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver) ::dlclose(driver);
  return driver != nullptr;
}

void* library_symbol(void* library, const char* name, const std::string& path) {
  void* symbol = ::dlsym(library, name);
  if (!symbol) throw BackendUnavailableError("'" + path + "' has no symbol " + name);
  return symbol;
}

void add_search_folder(const std::string& folder) {
  if (folder.empty() || folder.front() != '/') return;
  const ForkGuard guard;
  const std::lock_guard<std::mutex> lock(search_mutex);
  for (const auto& known : search_folders()) {
    if (known == folder) return;
  }
  search_folders().push_back(folder);
}

}  // namespace zoo
