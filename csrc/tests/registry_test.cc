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

// Returns the serialised value of a field of a plugin, -1 if there is none.
int32_t serialised_field(nvinfer1::IPluginV3* plugin, const std::string& name) {
  auto* const running = static_cast<nvinfer1::IPluginV3OneRuntime*>(
      plugin->getCapabilityInterface(nvinfer1::PluginCapabilityType::kRUNTIME));
  const auto* fields = running->getFieldsToSerialize();
  for (int32_t index = 0; index < fields->nbFields; ++index) {
    const PluginField& field = fields->fields[index];
    if (name == field.name) return *static_cast<const int32_t*>(field.data);
  }
  return -1;
}

// Checks that both creators in the registry create plugins and refuse invalid fields.
void check_creators(nvinfer1::IPluginRegistry* registry) {
  const int32_t stream = 7, half = 1, wrong = 9;
  for (const char* name : kNames) {
    IPluginCreatorInterface* const creator = registry->getCreator(name, "1", "");
    CHECK(creator != nullptr);
    if (!creator) continue;
    CHECK(registry->getCreator(name, "2", "") == nullptr);
    CHECK(registry->getCreator(name, "1", "other") == nullptr);
    const auto plugin = make(creator, {{"output_type", &half, PluginFieldType::kINT32, 1}});
    CHECK(plugin != nullptr);
    if (!plugin) continue;
    auto* const core = static_cast<nvinfer1::IPluginV3OneCore*>(
        plugin->getCapabilityInterface(nvinfer1::PluginCapabilityType::kCORE));
    CHECK(std::string(core->getPluginName()) == name);
    CHECK(std::string(core->getPluginVersion()) == "1");
    CHECK(serialised_field(plugin.get(), "output_type") == 1);
    CHECK(make(creator, {{"unknown", &stream, PluginFieldType::kINT32, 1}}) == nullptr);
    CHECK(make(creator, {{"output_type", &wrong, PluginFieldType::kINT32, 1}}) == nullptr);
    CHECK(make(creator, {{"output_type", &half, PluginFieldType::kINT32, 2}}) == nullptr);
    CHECK(make(creator, {{"output_type", nullptr, PluginFieldType::kINT32, 1}}) == nullptr);
  }
  IPluginCreatorInterface* const sample = registry->getCreator(kNames[0], "1", "");
  IPluginCreatorInterface* const between = registry->getCreator(kNames[1], "1", "");
  if (!sample || !between) return;
  const auto seventh = make(sample, {{"stream", &stream, PluginFieldType::kINT32, 1}});
  CHECK(seventh && serialised_field(seventh.get(), "stream") == 7);
  const auto arc = make(between, {{"mode", "spherical", PluginFieldType::kCHAR, 9}});
  CHECK(arc && serialised_field(arc.get(), "mode") == 1);
  CHECK(make(between, {{"mode", "cubic", PluginFieldType::kCHAR, 5}}) == nullptr);
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
  std::printf("TensorRT %d\n", version());
  return zoo::test::report();
}
