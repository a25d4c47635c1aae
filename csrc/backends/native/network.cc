#include "backends/native/network.h"

#include <algorithm>

namespace zoo::native {
namespace {

size_t find_or_add(const std::string& name, std::vector<std::string>* names) {
  const auto at = std::find(names->begin(), names->end(), name);
  const auto index = static_cast<size_t>(at - names->begin());
  if (at == names->end()) names->push_back(name);
  return index;
}

}  // namespace

size_t Network::add_value(const Shape& shape, Storage storage) {
  values.push_back({shape, storage});
  return values.size() - 1;
}

size_t Network::input(const std::string& name) { return find_or_add(name, &inputs); }

size_t Network::output(const std::string& name) { return find_or_add(name, &outputs); }

Storage Network::storage(const Operator& op) const {
  return values[op.inputs.empty() ? op.output : op.inputs.front()].storage;
}

std::vector<size_t> Network::users(size_t value) const {
  std::vector<size_t> users;
  for (size_t i = 0; i < operators.size(); ++i) {
    for (const size_t operand : operators[i]->inputs) {
      if (operand == value) users.push_back(i);
    }
  }
  return users;
}

void Network::pack(const KernelSet& kernels) {
  std::vector<size_t> offsets;
  size_t size = 0;
  for (const auto& op : operators) {
    offsets.push_back(size);
    size += rounded_up(op->packed_size(kernels.of(storage(*op)), kernels.wide), kCacheLine);
  }
  weights = RawBytes(size);
  for (size_t i = 0; i < operators.size(); ++i) {
    Operator& op = *operators[i];
    op.pack(kernels.of(storage(op)), kernels.wide, weights.data() + offsets[i]);
  }
}

}  // namespace zoo::native
