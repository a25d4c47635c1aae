// From an engine file's graph to the layers that the native backend computes.
#pragma once

#include <string_view>

#include "backends/native/graph.h"
#include "backends/native/network.h"
#include "zoo/manifest.h"

namespace zoo::native {

// The network of a generator's graph, from the finished latent ("mu") to the image. Throws
// BackendUnavailableError for a graph that is not of known layers: it names the first node that
// is not, and why.
Network lower(const Graph& graph, const Manifest& manifest);

}  // namespace zoo::native
