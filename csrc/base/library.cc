#include "base/library.h"

#include <dirent.h>
#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <vector>

#include "base/fork.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

// Never destroyed: engines may be loaded while the process ends.
std::mutex search_mutex;
std::vector<std::string>& search_folders() {
  static auto* const folders = new std::vector<std::string>;
  return *folders;
}

std::string parent(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return "";
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool is_folder(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

std::vector<std::string> search_roots() {
  std::vector<std::string> roots;
  {
    const ForkGuard guard;
    const std::lock_guard<std::mutex> lock(search_mutex);
    roots = search_folders();
  }
  // Installed in a wheel, libzoo lies in site-packages/runtime/lib.
  if (const std::string own = parent(parent(own_folder())); !own.empty()) roots.push_back(own);
  return roots;
}

std::vector<std::string> entries(const std::string& folder) {
  std::vector<std::string> names;
  DIR* listing = ::opendir(folder.c_str());
  if (!listing) return names;
  while (const dirent* entry = ::readdir(listing)) names.emplace_back(entry->d_name);
  ::closedir(listing);
  std::sort(names.begin(), names.end());
  return names;
}

std::string value_of(const char* environment) {
  const char* value = std::getenv(environment);
  return value ? value : "";
}

std::string first_with_prefix(const std::string& folder, const std::string& prefix) {
  for (const std::string& name : entries(folder)) {
    if (name.compare(0, prefix.size(), prefix) == 0) return folder + "/" + name;
  }
  return "";
}

}  // namespace

std::string own_library() {
  Dl_info info{};
  if (!::dladdr(reinterpret_cast<const void*>(&own_library), &info) || !info.dli_fname) return "";
  char* real = ::realpath(info.dli_fname, nullptr);
  if (!real) return "";
  const std::string path = real;
  std::free(real);
  return path;
}

std::string own_folder() { return parent(own_library()); }

std::string find_own_library(const char* environment, const std::string& name) {
  if (const std::string told = value_of(environment); !told.empty()) {
    return is_folder(told) ? first_with_prefix(told, name) : told;
  }
  // Another installation's may be of another version.
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
  if (const std::string told = value_of(environment); !told.empty()) {
    return is_folder(told) ? first_with_prefix(told, prefix) : told;
  }
  for (const auto& root : search_roots()) {
    const std::string found = first_with_prefix(root + "/" + relative, prefix);
    if (!found.empty()) return found;
  }
  return "";
}

std::string wheel_version(const std::string& name) {
  const std::string before = name + "-";
  const std::string after = ".dist-info";
  for (const auto& root : search_roots()) {
    const std::string found = first_with_prefix(root, before);
    const size_t begin = root.size() + 1 + before.size();
    if (found.size() <= begin + after.size()) continue;
    const size_t end = found.size() - after.size();
    if (found.compare(end, after.size(), after) == 0) return found.substr(begin, end - begin);
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
    for (const std::string& package : entries(packages)) {
      const std::string found = packages + "/" + package + "/lib/" + name;
      if (::access(found.c_str(), R_OK) == 0) return open(found);
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
