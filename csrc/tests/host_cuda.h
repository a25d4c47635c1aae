// CUDA devices emulated in host memory: the table CudaOps for tests without a GPU.
//
// Streams are lazy: enqueued work runs when the stream is synchronized or destroyed, in the thread
// that does so. Results that are read too early are thus always wrong, and so are inputs that are
// overwritten too early. New device memory is filled with 0xff, which is NaN in all real types.
//
// Stricter than CUDA: functions with a stream accept only streams and memory of the current device,
// and copies accept only pinned host memory. Laxer: synchronizing the null stream synchronizes all
// streams, an error affects only its stream, and work that other work enqueues may use any memory.
//
// Environment variables, with their defaults: HOST_CUDA_DEVICES (1) and HOST_CUDA_MEMORY (bytes per
// device, 1 GiB) are read at the first use; HOST_CUDA_CAPABILITY (90: 9.0) and HOST_CUDA_DRIVER
// (13000: the driver supports CUDA up to 13.0) at every query.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/cuda_ops.h"

#define HOST_CUDA_API extern "C" __attribute__((visibility("default")))

// Enqueues call(data) into a stream, or the graph that is captured from it, instead of the kernels
// of a library. Returns 0, or another value after an error (host_cuda_error).
HOST_CUDA_API int host_cuda_enqueue(void* stream, void (*call)(void*), void* data);

// Called by running work: makes it and its stream fail.
HOST_CUDA_API void host_cuda_break(const char* message);

// Message of the last error in this thread.
HOST_CUDA_API const char* host_cuda_error();

// Emulate cudaSetDevice and cudaGetDevice of a program. The former returns 0, or another value
// after an error.
HOST_CUDA_API int host_cuda_set_device(int device);
HOST_CUDA_API int host_cuda_current_device();

// Returns 1 if all bytes are memory of one device that has not been released. When called by
// running work, memory that was released after the work was enqueued is still valid.
HOST_CUDA_API int host_cuda_is_device(const void* memory, size_t bytes);

// Counts since the last reset: "launches" and "captures" of graphs, "copies_up" and "bytes_up"
// (pinned to device), "copies_down" and "bytes_down", "samples" (runs of the sampling kernel).
// Copies and samples count when they run. Current numbers: "device_bytes", "pinned_bytes",
// "streams", "queued" (work in streams), "graphs", "contexts" (devices that were ever current).
// 0 for another name.
HOST_CUDA_API uint64_t host_cuda_counter(const char* name);
HOST_CUDA_API void host_cuda_reset();

// Makes the next calls of a function of the table do nothing and fail with the message, which means
// out of memory if it contains cudaErrorMemoryAllocation.
HOST_CUDA_API void host_cuda_fail(const char* function, int times, const char* message);
