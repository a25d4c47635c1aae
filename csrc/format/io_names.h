// Input and output names of the engine file's graphs.
#pragma once

#include <cstdint>
#include <string>

namespace zoo {
namespace io {
constexpr const char* kMu = "mu";
constexpr const char* kLogvar = "logvar";
constexpr const char* kSeed = "seed";
constexpr const char* kFirst = "first";
constexpr const char* kImage = "image";
constexpr const char* kInput = "input";
constexpr const char* kScores = "scores";
constexpr const char* kLatent = "latent";          // of mapping and synthesis
constexpr const char* kStyles = "styles";          // of mapping
constexpr const char* kLabel = "label";            // class of each image
constexpr const char* kAttributes = "attributes";  // of each image that comes out
constexpr const char* kTruncation = "truncation";
constexpr const char* kNoise = "noise";  // scale of the noise of all layers

// The noise of a layer, for backends that do not draw it.
inline std::string layer_noise(uint32_t stream) { return "noise." + std::to_string(stream); }
}  // namespace io

}  // namespace zoo
