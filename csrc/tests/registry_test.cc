// The plugin library as it is installed, in the plugin registry of a real TensorRT. No GPU.
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
  auto* found = reinterpret_cast<Function*>(::dlsym(library, name));
  CHECK(found != nullptr);
  return found;
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

// What is serialised of a plugin's field; -1: no such field.
int32_t serialised(nvinfer1::IPluginV3* plugin, const std::string& name) {
  auto* const running = static_cast<nvinfer1::IPluginV3OneRuntime*>(
      plugin->getCapabilityInterface(nvinfer1::PluginCapabilityType::kRUNTIME));
  const auto* fields = running->getFieldsToSerialize();
  for (int32_t index = 0; index < fields->nbFields; ++index) {
    const PluginField& field = fields->fields[index];
    if (name == field.name) return *static_cast<const int32_t*>(field.data);
  }
  return -1;
}

// Both creators, as they are found in the registry, make plugins and refuse bad fields.
void use(nvinfer1::IPluginRegistry* registry) {
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
    CHECK(serialised(plugin.get(), "output_type") == 1);
    CHECK(make(creator, {{"unknown", &stream, PluginFieldType::kINT32, 1}}) == nullptr);
    CHECK(make(creator, {{"output_type", &wrong, PluginFieldType::kINT32, 1}}) == nullptr);
    CHECK(make(creator, {{"output_type", &half, PluginFieldType::kINT32, 2}}) == nullptr);
    CHECK(make(creator, {{"output_type", nullptr, PluginFieldType::kINT32, 1}}) == nullptr);
  }
  IPluginCreatorInterface* const sample = registry->getCreator(kNames[0], "1", "");
  IPluginCreatorInterface* const between = registry->getCreator(kNames[1], "1", "");
  if (!sample || !between) return;
  const auto seventh = make(sample, {{"stream", &stream, PluginFieldType::kINT32, 1}});
  CHECK(seventh && serialised(seventh.get(), "stream") == 7);
  const auto arc = make(between, {{"mode", "spherical", PluginFieldType::kCHAR, 9}});
  CHECK(arc && serialised(arc.get(), "mode") == 1);
  CHECK(make(between, {{"mode", "cubic", PluginFieldType::kCHAR, 5}}) == nullptr);
}

void gone(nvinfer1::IPluginRegistry* registry, int32_t before) {
  CHECK(count(*registry) == before);
  for (const char* name : kNames) CHECK(registry->getCreator(name, "1", "") == nullptr);
}

// By hand: each creator is registered, and taken out again.
void by_hand(nvinfer1::IPluginRegistry* registry, void* plugins) {
  using GetCreators = IPluginCreatorInterface* const*(int32_t&);
  auto* const get = symbol<GetCreators>(plugins, "getCreators");
  if (!get) return;
  int32_t made = 0;
  IPluginCreatorInterface* const* const creators = get(made);
  CHECK(made == 2);
  const int32_t before = count(*registry);
  gone(registry, before);
  for (int32_t index = 0; index < made; ++index) {
    CHECK(registry->registerCreator(*creators[index], ""));
    // The name is taken.
    CHECK(!registry->registerCreator(*creators[index], ""));
    CHECK(registry->getCreator(kNames[index], "1", "") == creators[index]);
  }
  CHECK(count(*registry) == before + 2);
  use(registry);
  for (int32_t index = 0; index < made; ++index) {
    CHECK(registry->deregisterCreator(*creators[index]));
    CHECK(!registry->deregisterCreator(*creators[index]));
  }
  gone(registry, before);
}

// By TensorRT itself, which also gives the library its logger (trtexec --dynamicPlugins).
void by_tensorrt(nvinfer1::IPluginRegistry* registry, const char* path) {
  const int32_t before = count(*registry);
  const auto handle = registry->loadLibrary(path);
  CHECK(handle != nullptr);
  if (!handle) return;
  CHECK(count(*registry) == before + 2);
  use(registry);
  registry->deregisterLibrary(handle);
  gone(registry, before);
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
  // Another major version has other tables of virtual functions.
  auto* const version = symbol<int32_t()>(tensorrt, "getInferLibVersion");
  auto* const get = symbol<nvinfer1::IPluginRegistry*()>(tensorrt, "getPluginRegistry");
  CHECK(version && version() / 10000 == NV_TENSORRT_MAJOR);
  if (!version || !get || version() / 10000 != NV_TENSORRT_MAJOR) return zoo::test::report();
  nvinfer1::IPluginRegistry* const registry = get();
  CHECK(registry != nullptr);
  by_hand(registry, plugins);
  by_tensorrt(registry, argv[1]);
  std::printf("TensorRT %d\n", version());
  return zoo::test::report();
}
