// The network of the plans that fake_nvinfer opens, and its counters.
#pragma once

#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

namespace fake_nvinfer {

struct State {
  std::mutex mutex;
  std::map<std::string, std::string> failures;
  std::map<std::string, int64_t> counters;
};

// Never destroyed, like the logger with which it is used.
inline State& state() {
  static auto* const instance = new State;
  return *instance;
}

inline void count(const char* name, int64_t more) {
  const std::lock_guard<std::mutex> lock(state().mutex);
  state().counters[name] += more;
}

// Returns a function of the emulator that the runtime has opened.
template <typename Function>
Function* host_cuda_function(const char* name) {
  static void* const library = ::dlopen(std::getenv("ZOO_CUDA_LIBRARY"), RTLD_NOW | RTLD_NOLOAD);
  return reinterpret_cast<Function*>(::dlsym(library, name));
}

struct Network {
  size_t width = 0, classes = 0, values = 0;
  std::vector<size_t> buckets;  // empty if the plan is unknown
};

inline Network parse_network(const std::string& plan) {
  const std::string marker = "toy.network: ";
  const size_t position = plan.find(marker);
  Network network;
  if (position == std::string::npos) return network;
  std::istringstream numbers(plan.substr(position + marker.size()));
  size_t count = 0;
  numbers >> network.width >> network.classes >> network.values >> count;
  network.buckets.resize(numbers ? count : 0);
  for (size_t& bucket : network.buckets) numbers >> bucket;
  return network;
}

// Level p of an image is 128 + 10 label + 40 Σ_k w(p, k) latent[k], rounded down and clipped to
// 0…255, with the weights w(p, k) = ((7 p + 13 k) mod 11 - 5) / 8.
inline unsigned char toy_level(const float* latent, size_t width, int64_t label, size_t p) {
  double sum = 0.0;
  for (size_t k = 0; k < width; ++k) {
    sum += (static_cast<double>((7 * p + 13 * k) % 11) - 5.0) / 8.0 * latent[k];
  }
  const double level = std::floor(128.0 + 10.0 * static_cast<double>(label) + 40.0 * sum);
  return static_cast<unsigned char>(std::min(255.0, std::max(0.0, level)));
}

// Work that an execution enqueues. Graphs may repeat it, so it lives as long as the context.
struct Work {
  Network network;
  size_t rows;
  const float* latent;
  const int64_t* label;
  unsigned char* image;
  void* scratch;
  size_t scratch_bytes;
};

constexpr unsigned char kScribble = 0xEE;

inline void run(void* data) {
  const Work& work = *static_cast<const Work*>(data);
  count("runs", 1);
  if (work.scratch) std::memset(work.scratch, kScribble, work.scratch_bytes);
  for (size_t row = 0; row < work.rows; ++row) {
    if (work.label[row] < 0 || work.label[row] >= static_cast<int64_t>(work.network.classes)) {
      host_cuda_function<void(const char*)>("host_cuda_break")("cudaErrorAssert: label");
      return;
    }
    for (size_t p = 0; p < work.network.values; ++p) {
      work.image[row * work.network.values + p] =
          toy_level(work.latent + row * work.network.width, work.network.width, work.label[row], p);
    }
  }
}

}  // namespace fake_nvinfer
