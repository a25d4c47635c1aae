// A libonnxruntime.so with a CUDA provider, for tests on machines without a GPU: the real library,
// which computes on the CPU, in the memory and on the streams of emulated devices (host_cuda.h).
//
// A session of the provider does its work when its stream is waited for, or when a graph is
// replayed that was captured from it: what it puts there is one piece of work. Kernels of custom
// operators get a stream of their own, which is waited for before the next node runs, and device
// memory: what lies elsewhere is copied there and back.
//
// Stricter than ONNX Runtime: tensors in the memory of "Cuda" must be device memory of that device.
// The provider's own CUDA graphs are not made: runs have gpu_graph_id -1.
//
// HOST_ONNXRUNTIME is the path of the real library, ZOO_CUDA_LIBRARY that of the emulated devices.
#pragma once

#include <cstdint>

#define HOST_ORT_API extern "C" __attribute__((visibility("default")))

// Makes the next calls fail with the message. "load": of the provider, "graph": of sessions that
// are to make CUDA graphs, "session": of all sessions, "run": of runs, "capture": of runs that are
// not waited for, "elide": those do nothing when their graph is replayed.
HOST_ORT_API void host_ort_fail(const char* what, int times, const char* message);

// "load" fails, by the message, until a library of that name is open.
HOST_ORT_API void host_ort_need(const char* library);

// Of the session that was made last: an option of the provider, or null.
HOST_ORT_API const char* host_ort_option(const char* name);

// Since the last reset: "enqueued" (runs that put work into a stream), "runs" (how often such work
// ran, the replays of graphs too), "operators" (custom operators that ran). What there is now:
// "sessions". UINT64_MAX for another name.
HOST_ORT_API uint64_t host_ort_counter(const char* name);

// Counts anew; nothing is to fail any more.
HOST_ORT_API void host_ort_reset();
