// Memory planning: determines which values share memory, their layouts, and the execution order.
#pragma once

#include <vector>

#include "backends/native/network.h"

namespace zoo::native {

// Position of an operator in the execution order. Consecutive operators with the same `apart` form
// a segment.
struct Turn {
  size_t op;
  size_t segment;
  bool apart;  // one image at a time
};

// Plans the memory and the execution order of a network for `images` images.
class Planner {
 public:
  Planner(const KernelSet& kernels, const Network& network, size_t images, const Sharing& sharing);

  const std::vector<Turn>& turns() const { return turns_; }
  // Returns the places of an operator and reserves its scratch memory.
  Places places(const Operator& op);

  // Return the memory size of an instance: bytes of maps, and floats. Call after places().
  size_t bytes() const { return bytes_; }
  size_t floats() const { return floats_; }

 private:
  // Memory of a value: it begins at a block of the memory of `value`, which is usually the value
  // itself.
  struct Home {
    size_t value;
    size_t block;
  };
  // Properties common to the values that share memory.
  struct Room {
    bool grouped = false;
    size_t padding = 0;
    size_t images = 1;        // number of images that fit
    size_t begin = SIZE_MAX;  // first turn that uses it, and last (`end`)
    size_t end = 0;
    Place place;
  };

  void share_memory();
  void choose_layouts();
  void choose_padding();
  void order();
  void measure_lives();
  void reserve_memory();
  bool owns_alone(size_t value) const;
  bool runs_apart(const Operator& op) const;
  Home home(size_t value) const;
  Place place(size_t value) const;

  const KernelSet& kernels_;
  const Network& network_;
  const size_t images_;
  const Sharing sharing_;
  std::vector<std::vector<size_t>> users_;  // operators that read each value
  std::vector<Home> parents_;
  std::vector<Room> rooms_;  // valid for values that own their memory
  std::vector<Turn> turns_;
  size_t bytes_ = 0;
  size_t floats_ = 0;
};

}  // namespace zoo::native
