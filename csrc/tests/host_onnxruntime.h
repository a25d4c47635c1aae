// A libonnxruntime.so with a CUDA provider, for tests of the CUDA backend on machines without a
// GPU: the real library, which computes on the CPU, behind the memory and streams of emulated
// devices (host_cuda.h).
//
// A run of a session is one piece of work in the provider's stream, done when the stream is waited
// for, or whenever a graph is replayed that was captured from it. Kernels of custom operators run
// in a stream of their own, which is waited for before the next node.
//
// Stricter than ONNX Runtime: a tensor in "Cuda" memory must be memory of that device. The
// provider's own CUDA graphs are refused: runs must have gpu_graph_id -1.
//
// HOST_ONNXRUNTIME is the path of the real library, ZOO_CUDA_LIBRARY that of the emulated devices.
#pragma once

#include <cstdint>

#define HOST_ORT_API extern "C" __attribute__((visibility("default")))

// Makes the next calls fail with the message. "load": loading the provider, "graph": opening a
// session with CUDA graphs enabled, "session": opening any session, "run": any run, "capture": a
// run that is not waited for, "elide": such a run succeeds, and does nothing when it is replayed.
HOST_ORT_API void host_ort_fail(const char* what, int times, const char* message);

// An option of the provider in the newest session, or null.
HOST_ORT_API const char* host_ort_option(const char* name);

// Since the last reset: "enqueued" (runs put into a stream), "runs" (how often their work was done,
// in replays too), "operators" (custom operators run). Now: "sessions".
HOST_ORT_API uint64_t host_ort_counter(const char* name);

// Sets the counters to 0 and cancels the failures.
HOST_ORT_API void host_ort_reset();
