// Names of the inputs and outputs of engine graphs.
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
constexpr const char* kLatent = "latent";          // input of mapping and synthesis networks
constexpr const char* kStyles = "styles";          // output of mapping networks
constexpr const char* kLabel = "label";            // class of each image
constexpr const char* kAttributes = "attributes";  // target attributes of each image
constexpr const char* kTruncation = "truncation";
constexpr const char* kNoise = "noise";      // scale of the noise of all layers
constexpr const char* kMixture = "mixture";  // 1: the graph samples from the learned prior

// The latent, or its transform to the learned prior, in the graph of a generator that has one.
constexpr const char* kDecoded = "latent.decoded";

// Name of a layer's noise as an input, for backends that do not draw it.
inline std::string layer_noise(uint32_t stream) { return "noise." + std::to_string(stream); }
}  // namespace io

}  // namespace zoo
