// Streams and graphs of the emulated devices.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/host_cuda_memory.h"

namespace zoo::host_cuda {

struct Work {
  std::function<void()> run;
  std::vector<Extent> extents;
};

using Step = std::shared_ptr<const Work>;
using Lock = std::unique_lock<std::mutex>;

constexpr const char* kBadHandle = "cudaErrorInvalidResourceHandle: invalid resource handle";
constexpr const char* kCapturing =
    "cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing";
constexpr const char* kInvalidated =
    "cudaErrorStreamCaptureInvalidated: operation failed due to a previous error during capture";

// True while the calling thread runs the work of a stream.
inline thread_local bool working = false;

// Error message of that work.
inline thread_local std::string broken;

// Functions return an error message, empty for success. Callers hold the lock that guards the
// memory; it is released while work runs.
class Streams {
 public:
  Streams(int devices, Memory* memory) : memory_(memory) {
    for (int device = 0; device < devices; ++device) {
      defaults_.push_back(std::make_shared<Stream>());
      defaults_.back()->device = device;
    }
  }
  Streams(const Streams&) = delete;

  void* make(int device) {
    const auto stream = std::make_shared<Stream>();
    stream->device = device;
    return streams_.emplace(next_handle(), stream).first->first;
  }

  std::string destroy(Lock* lock, void* handle) {
    const auto entry = streams_.find(handle);
    if (entry == streams_.end()) return kBadHandle;
    if (entry->second->capturing) return kCapturing;
    const Pointer stream = entry->second;
    streams_.erase(entry);
    // Like CUDA, finishes the work in the stream.
    if (stream->runner == std::thread::id()) run(lock, stream.get());
    return "";
  }

  // Enqueues work into a stream of the device.
  std::string enqueue(void* handle, int device, Work work) {
    const Pointer stream = find(handle, device);
    if (!stream || stream->device != device) return kBadHandle;
    for (const Extent& extent : work.extents) {
      const std::string error = memory_->check(extent, device, /*running=*/false);
      if (!error.empty()) return error;
    }
    if (stream->capturing) {
      if (stream->invalidated) return kInvalidated;
      stream->captured.push_back(std::make_shared<Work>(std::move(work)));
      return "";
    }
    return queue(stream.get(), {std::make_shared<Work>(std::move(work))});
  }

  // Runs the work in a stream, or in all streams if it is null.
  std::string synchronize(Lock* lock, void* handle) {
    if (refused_by_capture()) return kCapturing;
    if (!handle) {
      std::vector<Pointer> all = defaults_;
      for (const auto& [key, stream] : streams_) all.push_back(stream);
      std::string failure;
      for (const Pointer& stream : all) {
        const std::string failed = finish(lock, stream.get());
        if (failure.empty()) failure = failed;
      }
      return failure;
    }
    const Pointer stream = find(handle, 0);
    if (!stream) return kBadHandle;
    if (stream->capturing) {
      stream->invalidated = true;
      return kCapturing;
    }
    return finish(lock, stream.get());
  }

  std::string begin_capture(void* handle, int device) {
    const Pointer stream = find(handle, device);
    if (!stream || stream->device != device) return kBadHandle;
    if (!handle) return kCapturing;
    if (stream->capturing) return "cudaErrorIllegalState: the stream is under capture already";
    stream->capturing = true;
    stream->invalidated = false;
    stream->owner = std::this_thread::get_id();
    return "";
  }

  std::string end_capture(void* handle, int device, void** graph) {
    const Pointer stream = find(handle, device);
    if (!stream) return kBadHandle;
    if (!stream->capturing) return "cudaErrorIllegalState: the stream is not under capture";
    if (stream->owner != std::this_thread::get_id()) {
      return "cudaErrorStreamCaptureWrongThread: another thread began the capture";
    }
    stream->capturing = false;
    const std::vector<Step> steps = std::exchange(stream->captured, {});
    if (stream->invalidated) return kInvalidated;
    *graph = graphs_.emplace(next_handle(), Graph{stream->device, steps}).first->first;
    return "";
  }

  // Ends a capture of this thread without a graph.
  void abandon_capture(void* handle) {
    const auto entry = streams_.find(handle);
    if (entry == streams_.end() || entry->second->owner != std::this_thread::get_id()) return;
    entry->second->capturing = false;
    entry->second->captured.clear();
  }

  std::string launch(void* handle, void* stream_handle, int device) {
    const auto graph = graphs_.find(handle);
    const Pointer stream = find(stream_handle, device);
    if (graph == graphs_.end() || !stream || stream->device != device) return kBadHandle;
    if (graph->second.device != device) return kBadHandle;
    if (stream->capturing) {
      stream->invalidated = true;
      return kCapturing;
    }
    return queue(stream.get(), graph->second.steps);
  }

  // Launches that are queued still run.
  std::string destroy_graph(void* handle) { return graphs_.erase(handle) ? "" : kBadHandle; }

  // Returns true if this thread captures a stream and thus must not wait or allocate. Its captures
  // then fail.
  bool refused_by_capture() {
    bool any = false;
    for (const auto& [handle, stream] : streams_) {
      if (!stream->capturing || stream->owner != std::this_thread::get_id()) continue;
      stream->invalidated = true;
      any = true;
    }
    return any;
  }

  // Frees released memory if no queued work can use it.
  void sweep() {
    const auto idle = [](const Pointer& stream) { return stream->queue.empty(); };
    bool all = running_ == 0 && std::all_of(defaults_.begin(), defaults_.end(), idle);
    for (const auto& [handle, stream] : streams_) all = all && idle(stream);
    if (all) memory_->sweep();
  }

  size_t streams() const { return streams_.size(); }
  // Amount of work that is not done.
  uint64_t queued() const {
    uint64_t sum = 0;
    for (const auto& [handle, stream] : streams_) sum += stream->enqueued - stream->done;
    return sum;
  }
  size_t graphs() const { return graphs_.size(); }

 private:
  struct Stream {
    int device = 0;
    std::deque<Step> queue;
    uint64_t enqueued = 0;
    uint64_t done = 0;
    std::thread::id runner;
    std::string failure;
    bool capturing = false;
    bool invalidated = false;
    std::thread::id owner;
    std::vector<Step> captured;
  };
  using Pointer = std::shared_ptr<Stream>;

  struct Graph {
    int device;
    std::vector<Step> steps;
  };

  // Handles are never reused.
  void* next_handle() { return reinterpret_cast<void*>(handles_ += 16); }

  Pointer find(void* handle, int device) const {
    if (!handle) return defaults_[static_cast<size_t>(device)];
    const auto entry = streams_.find(handle);
    return entry == streams_.end() ? nullptr : entry->second;
  }

  static std::string queue(Stream* stream, const std::vector<Step>& steps) {
    if (!stream->failure.empty()) return stream->failure;
    stream->queue.insert(stream->queue.end(), steps.begin(), steps.end());
    stream->enqueued += steps.size();
    return "";
  }

  // Waits until this or another thread has done all work that is in the stream now.
  std::string finish(Lock* lock, Stream* stream) {
    const uint64_t target = stream->enqueued;
    while (stream->done < target) {
      if (stream->runner == std::this_thread::get_id()) {
        return "cudaErrorNotPermitted: work of the stream waits for the stream";
      }
      if (stream->runner == std::thread::id()) {
        run(lock, stream);
      } else {
        changed_.wait(*lock);
      }
    }
    return stream->failure;
  }

  void run(Lock* lock, Stream* stream) {
    stream->runner = std::this_thread::get_id();
    ++running_;
    while (!stream->queue.empty()) {
      const Step step = stream->queue.front();
      stream->queue.pop_front();
      for (const Extent& extent : step->extents) {
        if (stream->failure.empty()) stream->failure = memory_->check(extent, stream->device, true);
      }
      if (stream->failure.empty()) {
        lock->unlock();
        const bool before = std::exchange(working, true);
        step->run();
        working = before;
        lock->lock();
        stream->failure = std::exchange(broken, "");
      }
      ++stream->done;
    }
    stream->runner = std::thread::id();
    --running_;
    changed_.notify_all();
    sweep();
  }

  Memory* const memory_;
  std::vector<Pointer> defaults_;  // the null stream of each device
  std::map<void*, Pointer> streams_;
  std::map<void*, Graph> graphs_;
  uintptr_t handles_ = 0x10000;
  int running_ = 0;
  std::condition_variable changed_;
};

}  // namespace zoo::host_cuda
