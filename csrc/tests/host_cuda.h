// CUDA devices in host memory: the table CudaOps for tests on machines without a GPU.
//
// Streams are lazy: what is put into one runs when it is synchronized or destroyed, in the thread
// that does so. A result that is read too early is thus always wrong, and so is an input that is
// overwritten too early. New device memory is full of 0xff: NaN in every type of real numbers.
//
// Stricter than CUDA: what takes a stream takes only the current device's streams and memory, and
// copies take no host memory that is not pinned. Laxer: to synchronize the stream null is to
// synchronize all streams, a failure ends its stream only, not the whole process's CUDA, and what
// is put into a stream by the work of another one may use any memory.
//
// The environment variables HOST_CUDA_DEVICES (1) and HOST_CUDA_MEMORY (bytes of each device,
// 1 GiB) are read when the library is first used, HOST_CUDA_CAPABILITY (90, which is 9.0) whenever
// a device is asked for, HOST_CUDA_DRIVER (13000, the newest CUDA that the driver knows: 13.0)
// whenever its version or the number of devices is.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/cuda_ops.h"

#define HOST_CUDA_API extern "C" __attribute__((visibility("default")))

// Puts call(data) into a stream, or into the graph that is captured from it, in the place of a
// library's kernels. Not 0: it failed, as host_cuda_error says.
HOST_CUDA_API int host_cuda_enqueue(void* stream, void (*call)(void*), void* data);

// For such work, while it runs: it failed, and its stream with it.
HOST_CUDA_API void host_cuda_break(const char* message);

// The message of the last call of this thread that failed.
HOST_CUDA_API const char* host_cuda_error();

// As cudaSetDevice and cudaGetDevice, which a program calls itself. Not 0: it failed.
HOST_CUDA_API int host_cuda_set_device(int device);
HOST_CUDA_API int host_cuda_current_device();

// 1 where all of these bytes are memory of one device that was not released; asked by work of a
// stream, not released before that was put there.
HOST_CUDA_API int host_cuda_is_device(const void* memory, size_t bytes);

// Since the last reset: "launches" and "captures" of graphs, "copies_up" and "bytes_up" (pinned to
// device), "copies_down" and "bytes_down", "samples" (runs of the sampling kernel). Copies and
// samples count when they run. Now: "device_bytes", "pinned_bytes", "streams", "queued" (pieces of
// work in them), "graphs", "contexts" (devices that were ever current in a thread). 0 for another
// name.
HOST_CUDA_API uint64_t host_cuda_counter(const char* name);
HOST_CUDA_API void host_cuda_reset();

// Makes the next calls of a function of the table, by its name there, do nothing and fail with
// the message; as exhaustion where that is cudaErrorMemoryAllocation.
HOST_CUDA_API void host_cuda_fail(const char* function, int times, const char* message);
