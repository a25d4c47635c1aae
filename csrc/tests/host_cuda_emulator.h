// State of the emulated devices, and the entry of the functions of their table.
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

// Version of the emulated CUDA runtime: 13.0.
constexpr int kVersion = 13000;

inline uint64_t setting(const char* name, uint64_t fallback) {
  const char* value = std::getenv(name);
  return value && *value ? std::strtoull(value, nullptr, 10) : fallback;
}

struct Emulator {
  const int devices = static_cast<int>(setting("HOST_CUDA_DEVICES", 1));
  std::mutex mutex;  // guards the following members
  Memory memory{devices, setting("HOST_CUDA_MEMORY", uint64_t{1} << 30)};
  Streams streams{devices, &memory};
  std::set<int> contexts;  // devices that were ever current in a thread
  std::map<std::string, uint64_t> counts;
  std::map<std::string, std::pair<int, std::string>> failures;
};

// Never destroyed, because other static objects may outlive it.
inline Emulator& emulator() {
  static auto* const instance = new Emulator;
  return *instance;
}

inline thread_local int current = 0;           // device of the thread
inline thread_local std::vector<int> entered;  // devices that were current before
inline thread_local char message[512];         // of the last error

// Runs a function of the table. Returns null, the error returned by call(&lock), or the one set by
// host_cuda_fail.
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
