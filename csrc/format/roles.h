// Table of the roles of engine files. Each role that this library runs has a class of its name in
// include/zoo/.
#pragma once

#include <set>
#include <string>

#include "format/io_names.h"
#include "zoo/errors.h"
#include "zoo/manifest.h"

namespace zoo {

enum Trait : unsigned {
  kRuns = 1u << 0,           // this library runs it; the others are for training and editing
  kHasLatent = 1u << 1,      // the manifest describes its latent
  kDecodes = 1u << 2,        // turns latents into images
  kDrawsLatent = 1u << 3,    // the graph draws the latent from the prior
  kDrawsInLayers = 1u << 4,  // layers of the graph may draw noise
  kMakesStyles = 1u << 5,    // the manifest's truncation describes the output
  kScores = 1u << 6,         // the manifest names the scores
  kTranslates = 1u << 7,     // takes images in a format of their own, and optionally attributes
};

struct Role {
  const char* name;
  const char* input;   // latents or images
  const char* output;  // encoders may also have logvar
  unsigned traits;

  bool has(Trait trait) const { return (traits & trait) != 0; }
};

inline constexpr Role kRoles[] = {
    {"classifier", io::kImage, io::kScores, kRuns | kScores},
    {"discriminator", io::kImage, io::kImage, 0},
    {"encoder", io::kImage, io::kMu, kRuns | kHasLatent},
    {"generator", io::kMu, io::kImage,
     kRuns | kHasLatent | kDecodes | kDrawsLatent | kDrawsInLayers},
    {"interpolator", io::kMu, io::kImage, kHasLatent | kDecodes},
    {"mapping", io::kLatent, io::kStyles, kRuns | kHasLatent | kMakesStyles},
    {"synthesis", io::kLatent, io::kImage, kRuns | kHasLatent | kDecodes | kDrawsInLayers},
    {"translator", io::kInput, io::kImage, kRuns | kDrawsInLayers | kTranslates},
};

inline std::set<std::string> role_names() {
  std::set<std::string> names;
  for (const Role& role : kRoles) names.insert(role.name);
  return names;
}

// Throws ManifestError for an unknown role.
inline const Role& role_of(const Manifest& manifest) {
  for (const Role& role : kRoles) {
    if (manifest.role == role.name) return role;
  }
  throw ManifestError("'role': unknown role '" + manifest.role + "'");
}

inline bool has_trait(const Manifest& manifest, Trait trait) {
  return role_of(manifest).has(trait);
}

}  // namespace zoo
