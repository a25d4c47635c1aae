// The memory of emulated devices, and pinned memory: what was allocated, and how much.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace zoo::host_cuda {

// In the place of a device's index.
constexpr int kPinned = -1;

// Bytes that a piece of work reads or writes, and what its pointer must be a multiple of.
struct Extent {
  const void* data;
  size_t bytes;
  size_t alignment;
  bool or_pinned;
};

// Of an array of values; too many of them are more than any memory has.
template <typename T, typename... Lengths>
Extent extent(const T* data, Lengths... lengths) {
  size_t bytes = sizeof(T);
  const auto multiply = [&bytes](size_t length) {
    if (__builtin_mul_overflow(bytes, length, &bytes)) bytes = SIZE_MAX;
  };
  (multiply(lengths), ...);
  return {data, bytes, alignof(T), false};
}

// Its user holds a lock.
class Memory {
 public:
  Memory(int devices, uint64_t total)
      : total_(total), live_(static_cast<size_t>(devices), uint64_t{0}) {}
  Memory(const Memory&) = delete;

  // Null where there is not so much.
  void* allocate(int device, size_t bytes) {
    if (device != kPinned && bytes > total_ - live(device)) return nullptr;
    const size_t whole = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    void* memory = std::aligned_alloc(kAlignment, whole);
    if (!memory) return nullptr;
    std::memset(memory, kPattern, whole);
    allocations_[address(memory)] = {bytes, device, false};
    count(device) += bytes;
    return memory;
  }

  // What is queued already may go on using it until sweep(). False for what is no such memory.
  bool release(void* memory, bool pinned) {
    const auto found = allocations_.find(address(memory));
    if (found == allocations_.end() || found->second.released) return false;
    if ((found->second.device == kPinned) != pinned) return false;
    found->second.released = true;
    count(found->second.device) -= found->second.bytes;
    return true;
  }

  // Gives back what was released.
  void sweep() {
    for (auto entry = allocations_.begin(); entry != allocations_.end();) {
      if (!entry->second.released) {
        ++entry;
        continue;
      }
      std::free(reinterpret_cast<void*>(entry->first));
      entry = allocations_.erase(entry);
    }
  }

  // What is wrong with it as memory of the device; empty: nothing. running: what was released
  // after the work was queued is good still.
  std::string check(const Extent& extent, int device, bool running) const {
    const Allocation* found = find(extent.data, extent.bytes, running);
    const bool there = found && (found->device == device || (extent.or_pinned && is_pinned(found)));
    if (!there) {
      return "cudaErrorIllegalAddress: " + std::to_string(extent.bytes) + " bytes at " +
             std::to_string(address(extent.data)) + " are not all memory of device " +
             std::to_string(device) + (extent.or_pinned ? ", nor pinned" : "");
    }
    if (address(extent.data) % extent.alignment != 0) {
      return "cudaErrorMisalignedAddress: misaligned address";
    }
    return "";
  }

  // The device of the memory; less than 0 for what is none. running: as of check().
  int device_of(const void* memory, size_t bytes, bool running = false) const {
    const Allocation* found = find(memory, bytes, running);
    return found ? found->device : kPinned;
  }

  uint64_t total() const { return total_; }
  uint64_t live(int device) const { return live_[static_cast<size_t>(device)]; }
  uint64_t pinned_bytes() const { return pinned_; }

  uint64_t device_bytes() const {
    uint64_t sum = 0;
    for (const uint64_t bytes : live_) sum += bytes;
    return sum;
  }

 private:
  struct Allocation {
    size_t bytes;
    int device;
    bool released;
  };

  // As cudaMalloc aligns.
  static constexpr size_t kAlignment = 256;
  static constexpr int kPattern = 0xff;

  static uintptr_t address(const void* memory) { return reinterpret_cast<uintptr_t>(memory); }
  static bool is_pinned(const Allocation* found) { return found->device == kPinned; }

  uint64_t& count(int device) {
    return device == kPinned ? pinned_ : live_[static_cast<size_t>(device)];
  }

  // The allocation that all of the bytes are in.
  const Allocation* find(const void* memory, size_t bytes, bool released) const {
    auto found = allocations_.upper_bound(address(memory));
    if (found == allocations_.begin()) return nullptr;
    --found;
    const size_t offset = address(memory) - found->first;
    const Allocation& allocation = found->second;
    if (offset >= allocation.bytes || bytes > allocation.bytes - offset) return nullptr;
    return allocation.released && !released ? nullptr : &allocation;
  }

  const uint64_t total_;
  std::map<uintptr_t, Allocation> allocations_;
  std::vector<uint64_t> live_;
  uint64_t pinned_ = 0;
};

}  // namespace zoo::host_cuda
