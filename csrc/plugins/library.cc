// Entry points of a plugin library for TensorRT (IPluginRegistry::loadLibrary, trtexec
// --dynamicPlugins).

#include "plugins/plugin.h"

#define ZOO_PLUGIN_API extern "C" __attribute__((visibility("default")))

ZOO_PLUGIN_API void setLoggerFinder(nvinfer1::ILoggerFinder* finder) {
  zoo::plugins::set_logger_finder(finder);
}

ZOO_PLUGIN_API nvinfer1::IPluginCreatorInterface* const* getCreators(int32_t& count) {
  static nvinfer1::IPluginCreatorInterface* const creators[] = {
      &zoo::plugins::reparametrized_sample_creator(),
      &zoo::plugins::batched_interpolate_creator(),
  };
  count = 2;
  return creators;
}
