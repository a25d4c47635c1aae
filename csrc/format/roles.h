// What sets the roles of engine files apart: one row a role, read by whatever treats them
// differently. The calls of a role are those of the class of its name (include/zoo/).
#pragma once

#include <set>
#include <string>

#include "format/io_names.h"
#include "zoo/errors.h"
#include "zoo/manifest.h"

namespace zoo {

enum Trait : unsigned {
  kRuns = 1u << 0,           // in this library; other roles are for programs that train and edit
  kHasLatent = 1u << 1,      // the manifest describes its latent
  kDecodes = 1u << 2,        // makes images of latents
  kDrawsLatent = 1u << 3,    // the graph draws the latent from the prior
  kDrawsInLayers = 1u << 4,  // layers of the graph may draw noise
  kMakesStyles = 1u << 5,    // the manifest's truncation says what comes out
  kScores = 1u << 6,         // the manifest names the numbers that come out
  kTranslates = 1u << 7,     // takes images of a format of their own, and may be told attributes
};

struct Role {
  const char* name;
  const char* input;   // the one that has the rows: latents or images
  const char* output;  // an encoder's further one depends on its posterior
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

// Throws ManifestError for a role that the table lacks; Manifest::parse refuses those.
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
