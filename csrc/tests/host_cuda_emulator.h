// All of the emulated devices, and how a function of their table is entered.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/host_cuda_memory.h"
#include "tests/host_cuda_streams.h"

namespace zoo::host_cuda {

// Of CUDA: the emulated runtime's, 13.0.
constexpr int kVersion = 13000;

inline uint64_t setting(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value && *value ? std::strtoull(value, nullptr, 10) : otherwise;
}

struct Emulator {
  const int devices = static_cast<int>(setting("HOST_CUDA_DEVICES", 1));
  std::mutex mutex;  // guards all that follows
  Memory memory{devices, setting("HOST_CUDA_MEMORY", uint64_t{1} << 30)};
  Streams streams{devices, &memory};
  std::set<int> contexts;  // devices that a thread had as its current one
  std::map<std::string, uint64_t> counts;
  std::map<std::string, std::pair<int, std::string>> failures;
};

// Never destroyed: other objects of the process may outlive what is static here.
inline Emulator& emulator() {
  static auto* const made = new Emulator;
  return *made;
}

// The calling thread's device, and its last failure.
inline thread_local int current = 0;
inline thread_local std::vector<int> entered;  // the devices that were current before
inline thread_local char message[512];

// Enters a function of the table. Returns null, the failure that call(&lock) returned, or the one
// that host_cuda_fail set.
template <typename Call>
const char* entry(const char* name, const Call& call) {
  constexpr const char* kNoDevice = "cudaErrorNoDevice: no CUDA-capable device is detected";
  Emulator& all = emulator();
  Lock lock(all.mutex);
  std::string failure;
  const auto injected = all.failures.find(name);
  if (injected != all.failures.end() && injected->second.first > 0) {
    --injected->second.first;
    failure = injected->second.second;
  } else {
    failure = all.devices == 0 ? kNoDevice : call(&lock);
  }
  if (failure.empty()) return nullptr;
  std::snprintf(message, sizeof message, "%s (emulated): %s", name, failure.c_str());
  return message;
}

}  // namespace zoo::host_cuda
