// A libonnxruntime.so with an emulated CUDA provider, for tests of the CUDA backend without a GPU:
// the real library computes on the CPU, behind the memory and streams of emulated devices
// (host_cuda.h).
//
// A run of a session enqueues work into the stream of the provider, which runs when the stream is
// synchronized, or when a graph captured from it is replayed. Kernels of custom operators run in a
// stream of their own, which is synchronized before the next node.
//
// Stricter than ONNX Runtime: a tensor in "Cuda" memory must be memory of that device, and the
// provider's own CUDA graphs are refused (runs must have gpu_graph_id -1).
//
// HOST_ONNXRUNTIME is the path of the real library, ZOO_CUDA_LIBRARY that of the emulated devices.
#pragma once

#include <cstdint>

#define HOST_ORT_API extern "C" __attribute__((visibility("default")))

// Makes the next calls fail with the message. "load": loading the provider, "graph": opening a
// session with CUDA graphs enabled, "session": opening any session, "run": any run, "capture": an
// asynchronous run, "elide": an asynchronous run succeeds, but does nothing when it is replayed.
HOST_ORT_API void host_ort_fail(const char* what, int times, const char* message);

// Returns an option of the provider in the newest session, or null.
HOST_ORT_API const char* host_ort_option(const char* name);

// Counts since the last reset: "enqueued" runs, "runs" of their work, including replays, and
// "operators" (runs of custom operators). "sessions" is the current number.
HOST_ORT_API uint64_t host_ort_counter(const char* name);

// Sets the counters to 0 and cancels the failures.
HOST_ORT_API void host_ort_reset();
