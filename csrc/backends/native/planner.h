// How a plan comes about: which values share memory, how they lie, when they are computed.
#pragma once

#include <vector>

#include "backends/native/network.h"

namespace zoo::native {

// An operator at its turn.
struct Turn {
  size_t op;
  size_t segment;
  bool apart;  // one image at a time
};

class Planner {
 public:
  Planner(const KernelPair& kernels, const Network& network, size_t images);

  const std::vector<Turn>& turns() const { return turns_; }
  // The places of an operator, its scratch memory reserved.
  Places places(const Operator& op);

  size_t elements() const { return elements_; }  // of maps; call after places()
  size_t floats() const { return floats_; }

 private:
  // Where a value lies: at a block of another value's memory, its own for most.
  struct Home {
    size_t value;
    size_t block;
  };
  // What the values that share memory agree on.
  struct Room {
    bool grouped = false;
    size_t padding = 0;
    size_t images = 1;        // that there is memory for
    size_t begin = SIZE_MAX;  // turns between which it is used
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

  const KernelPair& kernels_;
  const Network& network_;
  const size_t images_;
  std::vector<std::vector<size_t>> users_;  // of each value
  std::vector<Home> parents_;
  std::vector<Room> rooms_;  // of values that are at home with themselves
  std::vector<Turn> turns_;
  size_t elements_ = 0;
  size_t floats_ = 0;
};

}  // namespace zoo::native
