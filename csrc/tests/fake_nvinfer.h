// TensorRT's library for tests: the classes behind its C++ headers, over emulated CUDA devices
// (host_cuda.h), opened in the place of libnvinfer.so by ZOO_TENSORRT_LIBRARY.
//
// It opens plans with the text "toy.network: WIDTH CLASSES VALUES BUCKETS SIZE...;" in them: inputs
// latent, float32 [N, WIDTH], and label, int64 [N]; output image, uint8 [N, 6, 5, VALUES / 30].
// What it computes is in the comment of toy_level. Like TensorRT it tells what is wrong to the
// logger and returns false or null; unlike it, it checks that every address is device memory of its
// own, and fills the scratch memory with bytes of its own.
//
// The environment variable FAKE_NVINFER_VERSION is its version, as TensorRT counts: 101401.
#pragma once

#include <cstdint>

#define FAKE_NVINFER_API extern "C" __attribute__((visibility("default")))

// Makes the next call of a function of TensorRT's, by its name there, fail with a message.
FAKE_NVINFER_API void fake_nvinfer_fail(const char* function, const char* message);

// What there is now: "runtimes", "engines", "contexts". What was done: "executions", which are
// calls of enqueueV3, and "runs" of the work that they put into streams. Else -1.
FAKE_NVINFER_API int64_t fake_nvinfer_counter(const char* name);
