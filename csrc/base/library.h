// Finding and opening the shared libraries of packages that a user may lack.
#pragma once

#include <string>

#include "zoo/export.h"

namespace zoo {

// Path of this library's own file, and its folder; empty where the loader does not tell.
ZOO_API std::string own_library();
ZOO_API std::string own_folder();

// A library that is built with this one: where the environment variable says (a file or a folder),
// else beside this one, else in runtime/lib of another folder of packages. Empty where it is not.
std::string find_own_library(const char* environment, const std::string& name);

// First file whose name begins with prefix in relative (a folder) below one of:
// the value of the environment variable (a file or a folder), the site-packages
// folders around libzoo. Empty where there is none.
std::string find_library(const char* environment, const std::string& relative,
                         const std::string& prefix);

// Version of an installed wheel (NAME-VERSION.dist-info in a site-packages folder), empty where
// there is none.
std::string wheel_version(const std::string& name);

// dlopen; throws BackendUnavailableError with the loader's own words.
void* open_library(const std::string& path, bool global);

// Opens a library where the loader finds it, else in a folder */lib below `relative` in one of the
// site-packages folders, where the wheels of NVIDIA's libraries have them (nvidia/cudnn/lib): what
// is opened later finds it by its name. False where it is nowhere, or cannot be opened.
bool preload_library(const std::string& relative, const std::string& name);

// Whether there is an NVIDIA driver: libcuda.so.1 can be opened.
bool has_nvidia_driver();

// dlsym; throws BackendUnavailableError.
void* library_symbol(void* library, const char* name, const std::string& path);

// Adds a folder in which find_library looks, as Python does for each sys.path entry
// that holds a backend's package. One that is not absolute is left out: it would be looked for in
// the folder that the process works in, which may hold anyone's libraries. Thread-safe.
ZOO_API void add_search_folder(const std::string& folder);

}  // namespace zoo
