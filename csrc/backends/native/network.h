// A network of operators with packed weights, which all instances of a backend share.
//
// An operator knows three things: what it is made of (its constructor, called by lowering.h), how
// its weights are packed, and how it is placed: place() returns the step that runs it between maps
// that lie at given places. plan.h decides where maps lie and in what order steps run.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/native/kernels.h"
#include "backends/native/map.h"

namespace zoo::native {

constexpr size_t kNone = SIZE_MAX;

// The kernels of a network: those of its precision, and those of floats for its wide values.
struct KernelPair {
  const Kernels& narrow;
  const Kernels& wide;

  const Kernels& of(bool is_wide) const { return is_wide ? wide : narrow; }
};

// A map that one operator writes and others read. A vector is a map of 1×1.
struct Value {
  Shape shape;
  bool wide = false;  // floats in every precision
};

// What the steps of a run have in common. Tensors are by their numbers in the network; an output
// that nobody asked for is null.
struct Run {
  Memory memory;
  const void* const* inputs;
  void* const* outputs;
  size_t first;  // row of the tensors that belongs to image 0
};

// An operator between its places.
class Step {
 public:
  virtual ~Step() = default;

  // Images image … image + count - 1 of the run.
  virtual void run(const Run& run, size_t image, size_t count) const = 0;
  // The kernels that it calls, for people; empty where there is nothing to choose.
  virtual std::string kernel() const { return {}; }
};

struct Places {
  const KernelPair& kernels;
  std::vector<Place> in;
  Place out;
  size_t scratch = 0;  // offset of the step's own floats
};

// How an operator would like its result to lie, where several images are computed together.
enum class Layout { kAsOperand, kGrouped, kApart };

class Operator {
 public:
  virtual ~Operator() = default;

  std::string layer;           // the value of the graph that it computes, or begins to
  std::vector<size_t> inputs;  // values
  size_t output = kNone;       // none: it writes tensors of the run

  // What it is, for people.
  virtual const char* kind() const = 0;
  // Multiplications and additions of an image, where nearly all work is products; else 0.
  virtual double operations() const { return 0.0; }
  // Columns of zeros that it needs on either side of its operands in image mode.
  virtual size_t padding() const { return 0; }
  // Its first operand may lie where its result does.
  virtual bool in_place() const { return false; }
  // Its operands are the blocks of its result, one after the other; it has nothing to run.
  virtual bool joins() const { return false; }
  virtual Layout layout(size_t /*images*/, size_t /*element*/) const { return Layout::kAsOperand; }
  // Floats that its step needs of its own.
  virtual size_t scratch(const Places& /*places*/) const { return 0; }
  // Brings its weights into the form that kernels read: those of its operands' precision, or those
  // of floats for what it computes in floats all the same.
  virtual void pack(const Kernels& /*kernels*/, const Kernels& /*floats*/) {}
  virtual std::unique_ptr<Step> place(const Places& places) const = 0;
};

struct Network {
  std::vector<std::string> inputs;  // tensors of a run, by name
  std::vector<std::string> outputs;
  std::vector<Value> values;
  std::vector<std::unique_ptr<Operator>> operators;  // each after those whose values it reads

  size_t add_value(const Shape& shape, bool wide = false);
  // Numbers of tensors, added when they are new.
  size_t input(const std::string& name);
  size_t output(const std::string& name);

  // Whether an operator computes with the kernels of floats.
  bool is_wide(const Operator& op) const;
  // The operators that read a value, once for each operand.
  std::vector<size_t> users(size_t value) const;
  // Brings weights into the form that these kernels read; once, before plans are made.
  void pack(const KernelPair& kernels);
};

}  // namespace zoo::native
