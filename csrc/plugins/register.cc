// libzoo_register_plugins.so: registers the plugins of libzoo_plugins.so, beside it, when it is
// opened. For programs that open libraries of plugins with dlopen and nothing else, such as
// Triton's TensorRT backend; others load libzoo_plugins.so itself (library.cc).

#include <NvInferRuntime.h>
#include <dlfcn.h>

#include <cstdio>
#include <string>

namespace {

void report(const std::string& message) {
  std::fprintf(stderr, "zoo_register_plugins: %s\n", message.c_str());
}

// Returns the TensorRT that the process has loaded, of the major version of the headers: another
// has other tables of virtual functions. Null if there is none.
void* find_tensorrt() {
  const std::string version = std::to_string(NV_TENSORRT_MAJOR);
  for (const char* name : {"libnvinfer.so.", "libnvinfer_lean.so."}) {
    if (void* library = ::dlopen((name + version).c_str(), RTLD_LAZY | RTLD_NOLOAD)) return library;
  }
  report("no libnvinfer.so." + version + " is loaded; the plugins are not registered");
  return nullptr;
}

// Returns libzoo_plugins.so in the folder of this library.
std::string plugins_path() {
  Dl_info own{};
  ::dladdr(reinterpret_cast<const void*>(&plugins_path), &own);
  const std::string path = own.dli_fname ? own.dli_fname : "";
  return path.substr(0, path.rfind('/') + 1) + "libzoo_plugins.so";
}

__attribute__((constructor)) void register_plugins() {
  void* const tensorrt = find_tensorrt();
  if (!tensorrt) return;
  using GetRegistry = nvinfer1::IPluginRegistry*();
  const auto get = reinterpret_cast<GetRegistry*>(::dlsym(tensorrt, "getPluginRegistry"));
  nvinfer1::IPluginRegistry* const registry = get ? get() : nullptr;
  const std::string path = plugins_path();
  // TensorRT logs why, too.
  if (!registry || !registry->loadLibrary(path.c_str())) report("TensorRT does not load " + path);
}

}  // namespace
