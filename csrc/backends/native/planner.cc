#include "backends/native/planner.h"

#include <algorithm>

namespace zoo::native {
namespace {

// Rounds up to whole cache lines, so that every map begins at one.
size_t rounded(size_t bytes) { return rounded_up(bytes, 64); }

size_t map_bytes(const Place& place) { return rounded(place.size() * place.element); }

}  // namespace

Planner::Planner(const KernelSet& kernels, const Network& network, size_t images,
                 const Sharing& sharing)
    : kernels_(kernels),
      network_(network),
      images_(images),
      sharing_(sharing),
      users_(network.values.size()) {
  for (size_t value = 0; value < users_.size(); ++value) users_[value] = network.users(value);
  share_memory();
  choose_layouts();
  choose_padding();
  order();
  measure_lives();
  reserve_memory();
}

// Returns true if a value, and each of the values joined in it, is read by a single operator.
bool Planner::owns_alone(size_t value) const {
  if (users_[value].size() != 1) return false;
  for (const auto& op : network_.operators) {
    if (op->output != value || !op->joins()) continue;
    return std::all_of(op->inputs.begin(), op->inputs.end(),
                       [&](size_t part) { return owns_alone(part); });
  }
  return true;
}

void Planner::share_memory() {
  for (size_t value = 0; value < network_.values.size(); ++value) parents_.push_back({value, 0});
  for (const auto& op : network_.operators) {
    if (op->joins()) {
      size_t block = 0;
      for (const size_t part : op->inputs) {
        parents_[part] = {op->output, block};
        block += network_.values[part].shape.blocks();
      }
    } else if (op->in_place() && parents_[op->inputs.front()].value == op->inputs.front() &&
               owns_alone(op->inputs.front())) {
      parents_[op->inputs.front()] = {op->output, 0};
    }
  }
}

Planner::Home Planner::home(size_t value) const {
  Home at{value, 0};
  while (parents_[at.value].value != at.value) {
    at = {parents_[at.value].value, at.block + parents_[at.value].block};
  }
  return at;
}

void Planner::choose_layouts() {
  rooms_.resize(network_.values.size());
  std::vector<bool> grouped(network_.values.size(), images_ > 1);
  for (const auto& op : network_.operators) {
    if (op->output == kNone || images_ == 1) continue;
    const Layout layout =
        op->layout(images_, kernels_.of(network_.values[op->output].storage).element);
    if (layout == Layout::kAsOperand) {
      grouped[op->output] = op->inputs.empty() || grouped[op->inputs.front()];
    } else {
      grouped[op->output] = layout == Layout::kGrouped;
    }
  }
  for (Room& room : rooms_) room.grouped = images_ > 1;
  for (size_t value = 0; value < grouped.size(); ++value) {
    if (!grouped[value]) rooms_[home(value).value].grouped = false;
  }
}

bool Planner::runs_apart(const Operator& op) const {
  return !rooms_[home(op.inputs.empty() ? op.output : op.inputs.front()).value].grouped;
}

void Planner::choose_padding() {
  for (const auto& op : network_.operators) {
    for (const size_t value : op->inputs) {
      Room& room = rooms_[home(value).value];
      if (!room.grouped) room.padding = std::max(room.padding, op->padding());
    }
  }
}

// Operators that run for all images at once go first, so that the remaining ones form one long
// segment per image.
void Planner::order() {
  const size_t count = network_.operators.size();
  std::vector<bool> known(network_.values.size(), false);
  std::vector<bool> done(count, false);
  const auto is_ready = [&](size_t i) {
    const auto& inputs = network_.operators[i]->inputs;
    return !done[i] &&
           std::all_of(inputs.begin(), inputs.end(), [&](size_t value) { return known[value]; });
  };
  while (turns_.size() < count) {
    size_t next = kNone;
    for (size_t i = 0; i < count; ++i) {
      if (!is_ready(i)) continue;
      if (next == kNone) next = i;
      if (!runs_apart(*network_.operators[i])) {
        next = i;
        break;
      }
    }
    const Operator& op = *network_.operators[next];
    const bool apart = runs_apart(op);
    const bool same = !turns_.empty() && turns_.back().apart == apart;
    turns_.push_back({next, turns_.empty() ? 0 : turns_.back().segment + (same ? 0 : 1), apart});
    done[next] = true;
    if (op.output != kNone) known[op.output] = true;
  }
}

// A value used by only one per-image segment needs memory for one image, which each image reuses.
// Other values have memory for all images, and live as long as the segments that use them.
void Planner::measure_lives() {
  std::vector<size_t> segment(rooms_.size(), kNone);
  std::vector<bool> whole(rooms_.size(), false);
  for (size_t at = 0; at < turns_.size(); ++at) {
    const Turn& turn = turns_[at];
    const Operator& op = *network_.operators[turn.op];
    std::vector<size_t> values = op.inputs;
    if (op.output != kNone) values.push_back(op.output);
    for (const size_t value : values) {
      const size_t owner = home(value).value;
      if (segment[owner] == kNone) segment[owner] = turn.segment;
      if (!turn.apart || segment[owner] != turn.segment) whole[owner] = true;
      rooms_[owner].begin = std::min(rooms_[owner].begin, at);
      rooms_[owner].end = std::max(rooms_[owner].end, at);
    }
  }
  for (size_t owner = 0; owner < rooms_.size(); ++owner) {
    Room& room = rooms_[owner];
    if (!whole[owner] || room.begin > room.end) continue;
    room.images = images_;
    while (room.begin > 0 && turns_[room.begin - 1].segment == turns_[room.begin].segment &&
           turns_[room.begin].apart) {
      --room.begin;
    }
    while (room.end + 1 < turns_.size() && turns_[room.end].apart &&
           turns_[room.end + 1].segment == turns_[room.end].segment) {
      ++room.end;
    }
  }
}

// First fit, in execution order. Maps with zero padding do not share memory, because other maps
// would overwrite the zeros. The padding of bytes is written in every run.
void Planner::reserve_memory() {
  std::vector<size_t> order;
  for (size_t value = 0; value < rooms_.size(); ++value) {
    if (home(value).value == value && rooms_[value].begin <= rooms_[value].end) {
      order.push_back(value);
    }
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return rooms_[a].begin < rooms_[b].begin; });
  std::vector<size_t> shared;
  for (const size_t value : order) {
    Room& room = rooms_[value];
    const Value& described = network_.values[value];
    room.place = make_place(described.shape, room.grouped, room.images, room.padding);
    room.place.storage = described.storage;
    room.place.element = kernels_.of(described.storage).element;
    const size_t size = map_bytes(room.place);
    if (room.images == 1 && !room.grouped) room.place.image = 0;
    if (described.storage == Storage::kWide) {
      room.place.offset = floats_;
      floats_ += size / sizeof(float);
      continue;
    }
    if (described.storage == Storage::kNarrow && room.padding != 0) {
      room.place.offset = bytes_;
      bytes_ += size;
      continue;
    }
    // Find the first offset after all overlapping rooms that are live at the same time.
    size_t offset = 0;
    for (bool moved = true; moved;) {
      moved = false;
      for (const size_t other : shared) {
        const Room& taken = rooms_[other];
        const size_t behind = taken.place.offset + map_bytes(taken.place);
        const bool at_once = taken.begin <= room.end && room.begin <= taken.end;
        if (at_once && offset < behind && taken.place.offset < offset + size) {
          offset = behind;
          moved = true;
        }
      }
    }
    room.place.offset = offset;
    shared.push_back(value);
  }
  // Shared memory follows the memory that is not shared.
  size_t most = 0;
  for (const size_t value : shared) {
    Place& place = rooms_[value].place;
    most = std::max(most, place.offset + map_bytes(place));
    place.offset += bytes_;
  }
  bytes_ += most;
}

Place Planner::place(size_t value) const {
  const Home at = home(value);
  Place place = rooms_[at.value].place;
  place.offset += at.block * place.block * (place.storage == Storage::kWide ? 1 : place.element);
  place.shape = network_.values[value].shape;
  return place;
}

Places Planner::places(const Operator& op) {
  Places places{kernels_, {}, {}};
  for (const size_t value : op.inputs) places.in.push_back(place(value));
  if (op.output != kNone) places.out = place(op.output);
  places.scratch = floats_;
  places.sharing = sharing_;
  floats_ += rounded(op.scratch(places) * sizeof(float)) / sizeof(float);
  return places;
}

}  // namespace zoo::native
