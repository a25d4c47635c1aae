// Interface of the backends: a loaded graph that several instances run in parallel.
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

// Memory of an input or output of the graph, owned by the caller and dense; the first dimension is
// the number of rows of the run.
struct Binding {
  std::string name;
  void* data;
  Memory memory = Memory::kHost;
};

// Instances that compute one run together.
class Team {
 public:
  virtual ~Team() = default;
  // Sends the helpers away. run() does, unless it throws.
  virtual void end() = 0;
};

// Inputs: all inputs of the graph, and those for noise as described for NoiseFrom. A drawn latent
// is bound as "mu", in place of the first operand of the noise operator, and the noise of a layer
// under its name (io::layer_noise). Outputs: those that the caller needs.
struct RunArguments {
  size_t rows = 0;
  Team* team = nullptr;  // of the instances that help with this run, if there is one
  // With a backend that copies (Backend::copies): the rows that the caller has in the main input
  // (or in the operands of the latent) and in the outputs, if fewer than the run; 0: all.
  size_t count = 0;
  size_t keys = 1;  // elements of seed and first: one, or one for each row
  std::vector<Binding> inputs;
  std::vector<Binding> outputs;
};

struct BackendConfig {
  std::string path;  // for messages, and to open plans
  // The contents of an .onnx file, which outlive the backend and match the manifest even if the
  // file has been replaced. Empty for a plan.
  std::string_view graph;
  std::string precision;
  size_t instances = 1;
  const Manifest* manifest = nullptr;
  int device = 0;  // number of the GPU
};

// The place where noise is drawn, which determines the inputs of a run.
enum class NoiseFrom {
  kCaller,   // inputs: the drawn latent, and the noise of each layer
  kGraph,    // inputs: all four operands of the noise operators
  kBackend,  // inputs: seed and first; for the latent nothing (prior), mu and logvar, or "latent"
};

// Whether a graph draws noise, and whether each row may have a key of its own: in older engines all
// rows have one.
struct GraphNoise {
  bool draws = false;
  bool row_keys = false;
};

class Backend {
 public:
  virtual ~Backend() = default;

  // kCaller for a graph without noise.
  virtual NoiseFrom noise_from() const = 0;

  // Returns true if seed and first may have an element for each row.
  virtual bool takes_row_keys() const { return false; }

  // Returns true if runs must have a size that was passed to prepare().
  virtual bool fixed_batch() const = 0;

  // Returns true if inputs and outputs are copied through memory of the backend. They may then be
  // shorter than the run (RunArguments::count), and in device memory.
  virtual bool copies() const { return false; }

  // Prepares runs of this many rows. Thread-safe, and quick if done before. Throws OutOfMemoryError
  // if the device has too little memory.
  virtual void prepare(size_t rows) = 0;

  // Runs the graph once, in the calling thread. instance < instances; different instances may run
  // at the same time. Throws ExecutionError.
  virtual void run(size_t instance, const RunArguments& arguments) = 0;

  // Returns the number of other instances that can help with a run of this many rows.
  virtual size_t helpers(size_t /*rows*/) const { return 0; }
  // Makes the team of such a run. help() may be called in other threads before, during and after
  // run(), which never waits for it to begin. The instance is the helper's own.
  virtual std::unique_ptr<Team> make_team() const { return nullptr; }
  virtual void help(size_t /*instance*/, Team* /*team*/) {}

  // Runs these rows in instance 0 for that many seconds, and measures its layers (zoo/layers.h).
  virtual LayerTimes measure_layers(const RunArguments& /*arguments*/, double /*seconds*/) {
    throw BackendUnavailableError("layers: only the backends native and openvino measure them");
  }

  // Peak of the device memory held, in bytes.
  virtual uint64_t peak_device_bytes() const { return 0; }
};

}  // namespace zoo
