// Memory of the emulated devices, and pinned memory.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace zoo::host_cuda {

// Used instead of a device index.
constexpr int kPinned = -1;

// Memory that work reads or writes, and its required alignment.
struct Extent {
  const void* data;
  size_t bytes;
  size_t alignment;
  bool or_pinned;
};

// Returns the extent of an array. If its size overflows, it is larger than any memory.
template <typename T, typename... Lengths>
Extent extent(const T* data, Lengths... lengths) {
  size_t bytes = sizeof(T);
  const auto multiply = [&bytes](size_t length) {
    if (__builtin_mul_overflow(bytes, length, &bytes)) bytes = SIZE_MAX;
  };
  (multiply(lengths), ...);
  return {data, bytes, alignof(T), false};
}

// Not thread-safe: callers hold a lock.
class Memory {
 public:
  Memory(int devices, uint64_t total)
      : total_(total), live_(static_cast<size_t>(devices), uint64_t{0}) {}
  Memory(const Memory&) = delete;

  // Returns null if there is too little memory.
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

  // Marks memory as released; queued work may use it until sweep(). Returns false if there is no
  // such memory.
  bool release(void* memory, bool pinned) {
    const auto entry = allocations_.find(address(memory));
    if (entry == allocations_.end() || entry->second.released) return false;
    if ((entry->second.device == kPinned) != pinned) return false;
    entry->second.released = true;
    count(entry->second.device) -= entry->second.bytes;
    return true;
  }

  // Frees what was released.
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

  // Returns an error message if the extent is not memory of the device, else "". running: memory
  // that was released after the work was queued is still valid.
  std::string check(const Extent& extent, int device, bool running) const {
    const Allocation* allocation = find(extent.data, extent.bytes, running);
    const bool valid = allocation && (allocation->device == device ||
                                      (extent.or_pinned && allocation->device == kPinned));
    if (!valid) {
      return "cudaErrorIllegalAddress: " + std::to_string(extent.bytes) + " bytes at " +
             std::to_string(address(extent.data)) + " are not all memory of device " +
             std::to_string(device) + (extent.or_pinned ? ", nor pinned" : "");
    }
    if (address(extent.data) % extent.alignment != 0) {
      return "cudaErrorMisalignedAddress: misaligned address";
    }
    return "";
  }

  // Returns the device that owns the memory, a negative number if none does. running: as in
  // check().
  int device_of(const void* memory, size_t bytes, bool running = false) const {
    const Allocation* allocation = find(memory, bytes, running);
    return allocation ? allocation->device : kPinned;
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

  static constexpr size_t kAlignment = 256;  // that of cudaMalloc
  static constexpr int kPattern = 0xff;

  static uintptr_t address(const void* memory) { return reinterpret_cast<uintptr_t>(memory); }

  uint64_t& count(int device) {
    return device == kPinned ? pinned_ : live_[static_cast<size_t>(device)];
  }

  // Returns the allocation that contains all bytes.
  const Allocation* find(const void* memory, size_t bytes, bool released) const {
    auto entry = allocations_.upper_bound(address(memory));
    if (entry == allocations_.begin()) return nullptr;
    --entry;
    const size_t offset = address(memory) - entry->first;
    const Allocation& allocation = entry->second;
    if (offset >= allocation.bytes || bytes > allocation.bytes - offset) return nullptr;
    return allocation.released && !released ? nullptr : &allocation;
  }

  const uint64_t total_;
  std::map<uintptr_t, Allocation> allocations_;
  std::vector<uint64_t> live_;
  uint64_t pinned_ = 0;
};

}  // namespace zoo::host_cuda
