// The installed plugin library in the plugin registry of a real TensorRT, without a GPU.
//   registry_test LIBZOO_PLUGINS TENSORRT_LIBRARY

#include <NvInferRuntime.h>
#include <dlfcn.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/check.h"

namespace {

using nvinfer1::IPluginCreatorInterface;
using nvinfer1::PluginField;
using nvinfer1::PluginFieldType;

constexpr const char* kNames[] = {"ReparametrizedSample", "BatchedInterpolate"};

template <typename Function>
Function* symbol(void* library, const char* name) {
  auto* function = reinterpret_cast<Function*>(::dlsym(library, name));
  CHECK(function != nullptr);
  return function;
}

int32_t count(const nvinfer1::IPluginRegistry& registry) {
  int32_t number = 0;
  registry.getAllCreators(&number);
  return number;
}

std::unique_ptr<nvinfer1::IPluginV3> make(IPluginCreatorInterface* creator,
                                          const std::vector<PluginField>& fields) {
  CHECK(std::string(creator->getInterfaceInfo().kind) == "PLUGIN CREATOR_V3ONE");
  const nvinfer1::PluginFieldCollection collection{static_cast<int32_t>(fields.size()),
                                                   fields.data()};
  return std::unique_ptr<nvinfer1::IPluginV3>(
      static_cast<nvinfer1::IPluginCreatorV3One*>(creator)->createPlugin(
          "node", &collection, nvinfer1::TensorRTPhase::kBUILD));
}

// Checks that the registry finds both creators by name, version and namespace, and that they create
// plugins. plugins_test.cc tests their fields.
void check_creators(nvinfer1::IPluginRegistry* registry) {
  const int32_t half = 1;
  for (const char* name : kNames) {
    IPluginCreatorInterface* const creator = registry->getCreator(name, "1", "");
    CHECK(creator != nullptr);
    if (!creator) continue;
    CHECK(registry->getCreator(name, "2", "") == nullptr);
    CHECK(registry->getCreator(name, "1", "other") == nullptr);
    CHECK(make(creator, {{"output_type", &half, PluginFieldType::kINT32, 1}}) != nullptr);
    CHECK(make(creator, {{"unknown", &half, PluginFieldType::kINT32, 1}}) == nullptr);
  }
}

void check_absent(nvinfer1::IPluginRegistry* registry, int32_t before) {
  CHECK(count(*registry) == before);
  for (const char* name : kNames) CHECK(registry->getCreator(name, "1", "") == nullptr);
}

// Registers and deregisters each creator.
void register_creators(nvinfer1::IPluginRegistry* registry, void* plugins) {
  using GetCreators = IPluginCreatorInterface* const*(int32_t&);
  auto* const get = symbol<GetCreators>(plugins, "getCreators");
  if (!get) return;
  int32_t creator_count = 0;
  IPluginCreatorInterface* const* const creators = get(creator_count);
  CHECK(creator_count == 2);
  const int32_t before = count(*registry);
  check_absent(registry, before);
  for (int32_t index = 0; index < creator_count; ++index) {
    CHECK(registry->registerCreator(*creators[index], ""));
    // The name is registered already.
    CHECK(!registry->registerCreator(*creators[index], ""));
    CHECK(registry->getCreator(kNames[index], "1", "") == creators[index]);
  }
  CHECK(count(*registry) == before + 2);
  check_creators(registry);
  for (int32_t index = 0; index < creator_count; ++index) {
    CHECK(registry->deregisterCreator(*creators[index]));
    CHECK(!registry->deregisterCreator(*creators[index]));
  }
  check_absent(registry, before);
}

// Loads the library with TensorRT, which also sets its logger (trtexec --dynamicPlugins).
void load_library(nvinfer1::IPluginRegistry* registry, const char* path) {
  const int32_t before = count(*registry);
  const auto handle = registry->loadLibrary(path);
  CHECK(handle != nullptr);
  if (!handle) return;
  CHECK(count(*registry) == before + 2);
  check_creators(registry);
  registry->deregisterLibrary(handle);
  check_absent(registry, before);
  CHECK(registry->loadLibrary("/nowhere/libzoo_plugins.so") == nullptr);
}

// Opens the library beside the plugins that registers them by itself (Triton's TensorRT backend).
void register_by_opening(nvinfer1::IPluginRegistry* registry, const std::string& plugins) {
  const std::string folder = plugins.substr(0, plugins.rfind('/') + 1);
  const int32_t before = count(*registry);
  CHECK(::dlopen((folder + "libzoo_register_plugins.so").c_str(), RTLD_NOW | RTLD_LOCAL));
  CHECK(count(*registry) == before + 2);
  check_creators(registry);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  void* const plugins = ::dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  void* const tensorrt = ::dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);
  CHECK(plugins != nullptr && tensorrt != nullptr);
  if (!plugins || !tensorrt) {
    std::fprintf(stderr, "%s\n", ::dlerror());
    return zoo::test::report();
  }
  // Another major version has other virtual function tables.
  auto* const version = symbol<int32_t()>(tensorrt, "getInferLibVersion");
  auto* const get = symbol<nvinfer1::IPluginRegistry*()>(tensorrt, "getPluginRegistry");
  CHECK(version && version() / 10000 == NV_TENSORRT_MAJOR);
  if (!version || !get || version() / 10000 != NV_TENSORRT_MAJOR) return zoo::test::report();
  nvinfer1::IPluginRegistry* const registry = get();
  CHECK(registry != nullptr);
  register_creators(registry, plugins);
  load_library(registry, argv[1]);
  register_by_opening(registry, argv[1]);
  std::printf("TensorRT %d\n", version());
  return zoo::test::report();
}
