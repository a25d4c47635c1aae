// A fake library of TensorRT for tests: the classes behind its C++ headers, over emulated CUDA
// devices (host_cuda.h), opened instead of libnvinfer.so by ZOO_TENSORRT_LIBRARY.
//
// It opens plans that contain "toy.network: WIDTH CLASSES VALUES BUCKETS SIZE...;". Inputs: latent,
// float32 [N, WIDTH], and label, int64 [N]; output: image, uint8 [N, 6, 5, VALUES / 30], computed
// by toy_level. Like TensorRT, it logs errors and returns false or null. Unlike TensorRT, it checks
// that all addresses are separate device memory, and overwrites the scratch memory.
//
// The environment variable FAKE_NVINFER_VERSION sets its version in TensorRT's format: 101401.
#pragma once

#include <cstdint>

#define FAKE_NVINFER_API extern "C" __attribute__((visibility("default")))

// Makes the next call of a function of TensorRT fail with a message.
FAKE_NVINFER_API void fake_nvinfer_fail(const char* function, const char* message);

// Returns the number of existing "runtimes", "engines" or "contexts", of "executions" (calls of
// enqueueV3), or of "runs" of the enqueued work; -1 for another name.
FAKE_NVINFER_API int64_t fake_nvinfer_counter(const char* name);
