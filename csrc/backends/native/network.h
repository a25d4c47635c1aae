// Network of operators with packed weights, shared by all instances of a backend.
//
// An operator is constructed from nodes of the graph (lowering/lowering.h), packs its weights, and
// is placed: place() returns the step that runs it on maps at given memory places. The plan
// (plan.h) determines the places of the maps and the order of the steps.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/native/floats.h"
#include "backends/native/kernels.h"
#include "backends/native/map.h"

namespace zoo::native {

constexpr size_t kNone = SIZE_MAX;

// Kernels of a network: `narrow` for its precision, `wide` (fp32) for its wide values, and `bytes`
// for operands that are bytes, which only networks in int8 have.
struct KernelSet {
  const Kernels& narrow;
  const Kernels& wide;
  const Kernels* bytes = nullptr;

  const Kernels& of(Storage storage) const {
    return storage == Storage::kNarrow ? narrow : storage == Storage::kWide ? wide : *bytes;
  }
  // Returns the kernels with the most operations per second.
  const Kernels& fastest() const { return bytes ? *bytes : narrow; }
};

// Map that one operator writes and others read. A vector is a map of 1×1 pixels.
struct Value {
  Shape shape;
  Storage storage = Storage::kNarrow;
};

// Arguments shared by the steps of a run. Tensors are indexed as in the network; outputs that were
// not requested are null.
struct Run {
  Memory memory;
  const void* const* inputs;
  void* const* outputs;
  size_t first;  // row of the tensors that corresponds to image 0
};

// Numbers of a noise tensor, floats [N, stride], that belong to a layer: those from `first` on,
// times the scale.
struct NoisePart {
  size_t tensor = kNone;  // kNone: no noise
  size_t first = 0;
  size_t stride = 0;
  size_t scale = kNone;  // tensor: one float; kNone: 1

  const float* of(const Run& run, size_t image) const {
    return static_cast<const float*>(run.inputs[tensor]) + (run.first + image) * stride + first;
  }
};

// Executable form of an operator, with the places of its maps fixed.
class Step {
 public:
  virtual ~Step() = default;

  // Computes images image … image + count - 1 of the run.
  virtual void run(const Run& run, size_t image, size_t count) const = 0;
  // Returns the number of parts of an image that can be computed at the same time, by different
  // threads; 1 if that is not worth it.
  virtual size_t parts() const { return 1; }
  // Computes a part of an image. Together, the parts have the bytes of run().
  virtual void run_part(const Run& run, size_t image, size_t /*part*/) const {
    this->run(run, image, 1);
  }
  // Returns a description of the chosen kernels for reports; empty if there is no choice.
  virtual std::string kernel() const { return {}; }
};

// How many threads may compute an image together, and the least operations of a step for it to be
// split. A million take some 4 µs, and to hand out parts less than one.
struct Sharing {
  size_t threads = 1;
  double least = 1e6;
};

// Memory places of an operator's operands, result and scratch memory.
struct Places {
  const KernelSet& kernels;
  std::vector<Place> in;
  Place out;
  size_t scratch = 0;  // offset of the step's scratch memory, in floats
  Sharing sharing = {};

  // Returns the number of parts of a step with `operations` that consists of `units`: two per
  // thread, since helpers come late, or 1 if handing them out takes too long.
  size_t parts(size_t units, double operations) const {
    if (sharing.threads == 1 || out.grouped || operations < sharing.least) return 1;
    return units < 2 * sharing.threads ? units : 2 * sharing.threads;
  }
};

// Units first … last - 1 of a step.
struct Range {
  size_t first;
  size_t last;
};

// Returns the units of one of `parts` parts of about the same size.
inline Range part_of(size_t units, size_t parts, size_t part) {
  return {units * part / parts, units * (part + 1) / parts};
}

// Preferred layout of an operator's result when several images are computed together: that of the
// first operand, group mode, or image mode (map.h).
enum class Layout { kAsOperand, kGrouped, kApart };

// Operator of a network, with its weights.
class Operator {
 public:
  virtual ~Operator() = default;

  std::string layer;           // the (first) value of the graph that it computes
  std::vector<size_t> inputs;  // values
  size_t output = kNone;       // kNone: it writes tensors of the run

  // Returns the name of the operator for reports.
  virtual const char* kind() const = 0;
  // Returns the number of multiplications and additions per image; 0 unless products dominate the
  // work.
  virtual double operations() const { return 0.0; }
  // Returns the padding columns required on either side of the operands in image mode.
  virtual size_t padding() const { return 0; }
  // Returns true if the result may overwrite the first operand.
  virtual bool in_place() const { return false; }
  // Returns true if the operands are consecutive blocks of the result, so that there is no step to
  // run.
  virtual bool joins() const { return false; }
  virtual Layout layout(size_t /*images*/, size_t /*element*/) const { return Layout::kAsOperand; }
  // Returns the size of the step's scratch memory, in floats.
  virtual size_t scratch(const Places& /*places*/) const { return 0; }
  // Returns the size of the packed weights in bytes, for the kernels that pack() gets.
  virtual size_t packed_size(const Kernels& /*kernels*/, const Kernels& /*floats*/) const {
    return 0;
  }
  // Packs the weights into `memory`, which is aligned to a cache line and outlives the operator,
  // for `kernels`, which match the storage of the operands, or for `floats` if the operator
  // computes in float in every precision.
  virtual void pack(const Kernels& /*kernels*/, const Kernels& /*floats*/,
                    unsigned char* /*memory*/) {}
  virtual std::unique_ptr<Step> place(const Places& places) const = 0;
};

// Values and operators, and the names of the input and output tensors.
struct Network {
  std::vector<std::string> inputs;  // tensors of a run, by name
  std::vector<std::string> outputs;
  std::vector<Value> values;
  std::vector<std::unique_ptr<Operator>> operators;  // in topological order
  RawBytes weights;                                  // packed, of all operators

  size_t add_value(const Shape& shape, Storage storage = Storage::kNarrow);
  // Return the index of a tensor, which is added if it is new.
  size_t input(const std::string& name);
  size_t output(const std::string& name);

  // Returns the storage of the operands of an operator; without operands, that of its result.
  Storage storage(const Operator& op) const;
  // Returns the indices of the operators that read a value, once per operand.
  std::vector<size_t> users(size_t value) const;
  // Packs the weights of all operators. Call once, before plans are made.
  void pack(const KernelSet& kernels);
};

}  // namespace zoo::native
