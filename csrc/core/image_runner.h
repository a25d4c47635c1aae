// Runs graphs that map rows to rows: those of encoders, translators, classifiers and mapping
// networks.
#pragma once

#include <string>
#include <vector>

#include "core/engine.h"
#include "core/inputs.h"

namespace zoo {

// An input or output of a call, in the caller's memory.
struct Rows {
  const char* name;  // one of format/io_names.h
  void* data;        // null for an output that is not needed
  size_t bytes;      // per row
  Memory memory = Memory::kHost;
};

struct RowCall {
  Rows images;  // the main input: images, or the latents of a mapping network
  std::vector<Rows> outputs;
  GraphInputs inputs;
};

// Computes rows offset … offset + count - 1 of a call in one run of the graph; count <= batch,
// the rows of a run on a backend with fixed sizes.
void run_image_rows(Backend* backend, const Manifest& manifest, size_t instance,
                    const RowCall& call, size_t offset, size_t count, size_t batch,
                    Team* team = nullptr);

// Throws ManifestError if the engine's images are floats, which these roles do not support.
void require_uint8_images(const Engine& engine);

// Splits n rows into runs of the graph on all instances, and waits for them. Throws ArgumentError
// for no rows, too many rows or memory of another device; ExecutionError; CancelledError.
void run_images(Engine* engine, const RowCall& call, size_t n, const Cancel& cancel);

}  // namespace zoo
