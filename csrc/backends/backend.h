// What a backend is: one graph, loaded, run by several instances at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "format/io_names.h"
#include "zoo/errors.h"
#include "zoo/export.h"
#include "zoo/layers.h"
#include "zoo/manifest.h"
#include "zoo/options.h"

namespace zoo {

// Memory for one named input or output of the graph, owned by the caller and
// dense; its first dimension is the number of rows of the run.
struct Binding {
  std::string name;
  void* data;
  Memory memory = Memory::kHost;
};

// Inputs: all of the graph's, but for noise, which see NoiseFrom. A finished latent comes as
// "mu" in place of the operator's first operand, and the noise of a layer under its name
// (io::layer_noise). Outputs: those that are wanted.
struct RunArguments {
  size_t rows = 0;
  // Where the backend copies (Backend::copies): rows of the latent's operands, or of the images or
  // latents that go in, and of the outputs; fewer than the run has where nobody wants the last
  // ones. 0: all.
  size_t count = 0;
  std::vector<Binding> inputs;
  std::vector<Binding> outputs;
};

struct BackendConfig {
  std::string path;  // for messages, and of a plan to open it
  // Else the file's bytes, which live as long as the backend: what the manifest is of, whatever has
  // become of the file.
  std::string_view graph;
  std::string precision;
  size_t instances = 1;
  const Manifest* manifest = nullptr;
  int device = 0;  // of a GPU
};

// Who draws the noise, and so what a run's inputs are.
enum class NoiseFrom {
  kCaller,   // the finished latent, and the noise of each layer
  kGraph,    // the operands of its noise operators, all four
  kBackend,  // seed and first, and for the latent: nothing (the prior), mu and logvar, or "latent"
};

class Backend {
 public:
  virtual ~Backend() = default;

  // kCaller of a graph without noise.
  virtual NoiseFrom noise_from() const = 0;

  // True where a run must have one of the sizes that prepare() was given.
  virtual bool fixed_batch() const = 0;

  // True where inputs and outputs are copied to and from memory of the backend's own, so that they
  // need not be as long as the run. Only then they may be in a device's memory.
  virtual bool copies() const { return false; }

  // Makes runs of this many rows possible; thread-safe, quick when done before. Throws
  // OutOfMemoryError where the device has too little.
  virtual void prepare(size_t rows) = 0;

  // One run in the calling thread. instance < instances; different instances may
  // run at the same time. Throws ExecutionError.
  virtual void run(size_t instance, const RunArguments& arguments) = 0;

  // Runs these rows in instance 0 for that many seconds, and times its layers
  // (zoo/layers.h).
  virtual LayerTimes measure_layers(const RunArguments& /*arguments*/, double /*seconds*/) {
    throw BackendUnavailableError("layers: only backend native measures them");
  }

  // Most bytes of the device's memory that this has held at a time.
  virtual uint64_t peak_device_bytes() const { return 0; }
};

}  // namespace zoo
