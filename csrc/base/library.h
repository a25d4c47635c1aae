// Finding and opening the shared libraries of optional packages.
#pragma once

#include <string>

#include "zoo/export.h"

namespace zoo {

// Path of the file of this library, and its folder; empty if the loader does not report it.
ZOO_API std::string own_library();
ZOO_API std::string own_folder();

// Finds a library that is built with this one: where the environment variable points (a file or a
// folder), else beside this library, else in runtime/lib of a search folder. Returns an empty path
// if there is none.
std::string find_own_library(const char* environment, const std::string& name);

// Finds the first file whose name begins with `prefix`: where the environment variable points (a
// file or a folder), else in the folder `relative` of the search folders and of the site-packages
// around libzoo. Returns an empty path if there is none.
std::string find_library(const char* environment, const std::string& relative,
                         const std::string& prefix);

// Version of an installed wheel (NAME-VERSION.dist-info in site-packages), empty if not installed.
std::string wheel_version(const std::string& name);

// dlopen. Throws BackendUnavailableError with the loader's message.
void* open_library(const std::string& path, bool global);

// Opens a library by its name, else from a folder */lib below `relative` in site-packages, where
// NVIDIA's wheels put them (nvidia/cudnn/lib), so that libraries opened later find it by its name.
// Returns false if it is not found or cannot be opened.
bool preload_library(const std::string& relative, const std::string& name);

// Returns true if there is an NVIDIA driver, that is, if libcuda.so.1 can be opened.
bool has_nvidia_driver();

// dlsym. Throws BackendUnavailableError if the library, opened from `path`, has no such symbol.
void* library_symbol(void* library, const char* name, const std::string& path);

// Adds a search folder; Python adds each sys.path entry that holds a backend's package. A relative
// path is ignored: it would depend on the working folder, which may hold anyone's libraries.
// Thread-safe.
ZOO_API void add_search_folder(const std::string& folder);

}  // namespace zoo
