// From rows of images, or of latents, to rows of what the graph makes of them: what every
// call of an encoder, a translator, a classifier or a mapping network comes down to.
#pragma once

#include <string>
#include <vector>

#include "core/engine.h"
#include "core/inputs.h"

namespace zoo {

// One input or output of a call: n rows of `bytes` bytes, the caller's memory.
struct Rows {
  const char* name;  // of backends/backend.h's io
  void* data;        // an output that nobody wants: null
  size_t bytes;
  Memory memory = Memory::kHost;
};

// A call: what goes in, what comes out, and what goes in beside.
struct RowCall {
  Rows images;
  std::vector<Rows> outputs;
  GraphInputs inputs;
};

// Rows offset … offset + count - 1 of a call, by one run of the graph of that manifest;
// count <= batch, the rows of a run where the backend has fixed ones.
void run_image_rows(Backend* backend, const Manifest& manifest, size_t instance,
                    const RowCall& call, size_t offset, size_t count, size_t batch);

// Throws ManifestError where the engine's images are floats: these roles take and give uint8.
void require_uint8_images(const Engine& engine);

// Cuts n rows into runs of the graph, done by all instances, and waits. Throws
// ArgumentError for no rows or too many and for memory of another device, ExecutionError,
// CancelledError.
void run_images(Engine* engine, const RowCall& call, size_t n, const Cancel& cancel);

}  // namespace zoo
