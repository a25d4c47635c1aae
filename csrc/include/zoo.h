// The C API of generator-zoo: opens engine files, and makes, reads and translates images.
//
// Link libzoo_c (CMake: zoo::zoo_c, pkg-config: zoo). Its ABI is stable: functions and fields at
// the end of a struct are added, nothing else changes within one SOVERSION. C++ programs may also
// use zoo/stable.h, classes over this header.
//
// Structs begin with their size, which the caller sets to sizeof. A field that is 0 or null has its
// default, and so has every field that a program compiled with an older header does not have:
//
//   zoo_sample_request request = {.size = sizeof request, .n = 64, .seed = 7};
//
// A newer struct is accepted by an older library if the fields that it does not know are 0.
//
// Every function that can fail returns a status, and leaves a message in zoo_error_message(). No
// exception leaves a function. After a failure, outputs have unspecified values; handles are null.
//
// Thread safety: any function may be called by any thread at any time, unless it says otherwise.
// Handles must outlive the calls that use them.
#pragma once

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define ZOO_C_API
#else
#define ZOO_C_API __attribute__((visibility("default")))
#endif

// Raised with every addition to this header.
#define ZOO_C_API_VERSION 1

#ifdef __cplusplus
extern "C" {
#endif

// One for each class of zoo/errors.h and runtime.errors, of the same name.
typedef int32_t zoo_status;
enum {
  ZOO_OK = 0,
  ZOO_ERROR = 1,  // any other error
  ZOO_ARGUMENT_ERROR = 2,
  ZOO_ENGINE_FILE_ERROR = 3,
  ZOO_ENGINE_NOT_FOUND_ERROR = 4,
  ZOO_NOT_AN_ENGINE_ERROR = 5,
  ZOO_MANIFEST_ERROR = 6,
  ZOO_SCHEMA_VERSION_ERROR = 7,
  ZOO_BACKEND_UNAVAILABLE_ERROR = 8,
  ZOO_DEVICE_UNAVAILABLE_ERROR = 9,
  ZOO_EXECUTION_ERROR = 10,
  ZOO_OUT_OF_MEMORY_ERROR = 11,
  ZOO_CLOSED_ERROR = 12,
  ZOO_CANCELLED_ERROR = 13,
  ZOO_BUSY_ERROR = 14,
  ZOO_DEADLINE_ERROR = 15
};

// Location of an array: host memory, or the memory of the GPU that the engine runs on.
enum { ZOO_MEMORY_HOST = 0, ZOO_MEMORY_DEVICE = 1 };

// Distribution of the latents: N(0, I), or the learned prior of the engine.
enum { ZOO_PRIOR_NORMAL = 0, ZOO_PRIOR_MIXTURE = 1 };

// Values of an image: bytes H x W x C, or floats C x H x W in the range of the manifest.
enum { ZOO_UINT8 = 0, ZOO_FLOAT32 = 1 };

typedef struct zoo_engine zoo_engine;  // a loaded engine file
typedef struct zoo_stream zoo_stream;  // images of a run, in order, computed ahead

// Called at least every 50 ms by the thread that waits for a call. If it returns a number other
// than 0, the call is abandoned and returns ZOO_CANCELLED_ERROR.
typedef int (*zoo_cancel)(void* context);

// Called with a one-line message, in the thread that made the call.
typedef void (*zoo_warning_handler)(const char* message, void* context);

// What the noise of an image is a function of: a seed, and the index of the image in its run.
typedef struct zoo_key {
  uint64_t seed;
  uint64_t index;
} zoo_key;

typedef struct zoo_options {
  size_t size;
  const char* device;     // "cpu", "cuda:N"; null: "auto"
  const char* backend;    // "native", "onnxruntime", "openvino"; null: "auto"
  const char* precision;  // "bf16", "int8", "tf32"; null: "fp32"
  size_t instances;       // parallel instances; 0: one per core on a CPU, two on a GPU
  size_t bucket;          // on a GPU: the batch size of all runs; 0: chosen per request
} zoo_options;

typedef struct zoo_image_format {
  size_t height;
  size_t width;
  size_t channels;
  size_t bytes;  // of one image
  int32_t type;  // ZOO_UINT8 or ZOO_FLOAT32
  int32_t reserved;
} zoo_image_format;

// Description of an engine. All text and arrays belong to the engine.
typedef struct zoo_description {
  size_t size;
  const char* role;   // "generator", "synthesis", "encoder", "mapping", "translator", "classifier"
  const char* model;  // name of the model
  const char* manifest;   // the whole manifest, JSON
  const char* backend;    // in use
  const char* device;     // "cpu" or "cuda:N"
  const char* precision;  // of the file
  size_t instances;
  zoo_image_format image;  // what generators and translators make, encoders and classifiers take
  zoo_image_format input;  // what translators take
  size_t latent_width;     // 0: no latent
  size_t style_width;      // of style-based generators and their mappings
  int32_t has_prior;       // 1 if zoo_sample needs no mu and logvar
  int32_t has_mixture;     // 1 if there is a learned prior
  int32_t deterministic;   // 1 for an encoder whose logvar is always -infinity
  int32_t reserved;
  size_t class_count;             // of the labels of a conditional generator
  size_t attribute_count;         // of the attributes that a translator takes
  const char* const* attributes;  // their names
  size_t score_count;             // of the scores of a classifier
  const char* const* scores;      // their names
} zoo_description;

// Images first … first + n - 1 of the run with this seed. Image i does not depend on n, first,
// batch, or the number of instances and threads.
typedef struct zoo_sample_request {
  size_t size;
  uint64_t n;
  uint64_t seed;
  uint64_t first;
  size_t batch;             // most rows of one run of the graph; 0: chosen by the runtime
  const zoo_key* keys;      // n of them, in place of seed and first
  const int64_t* labels;    // conditional generators; null: image i has the class i mod class_count
  size_t label_count;       // n or 1; with cycle any number
  int32_t cycle;            // not 0: image i of the run has labels[i mod label_count]
  int32_t prior;            // ZOO_PRIOR_NORMAL or ZOO_PRIOR_MIXTURE
  const float* truncation;  // style-based generators: w̄ + *truncation * (w - w̄); null: 1
  const float* noise;       // style-based generators: factor of the layers' noise; null: 1
  const float* mu;          // with logvar: [n, latent_width], sample from this posterior
  const float* logvar;
  int32_t shared;         // not 0: mu and logvar have one row for all images
  int32_t latent_memory;  // of mu and logvar
  int32_t image_memory;
  int32_t reserved;
  zoo_cancel cancel;
  void* cancel_context;
} zoo_sample_request;

// Images of latents [n, latent_width]; of a synthesis network they are the styles of all layers.
typedef struct zoo_decode_request {
  size_t size;
  const float* latents;
  size_t n;
  const uint64_t* seed;  // of the noise of style-based generators' layers; null: no noise
  uint64_t first;        // row r has the noise of image first + r
  const zoo_key* keys;   // n of them, in place of seed and first
  const int64_t* labels;
  size_t label_count;       // n or 1
  const float* truncation;  // null: 1
  int32_t latent_memory;
  int32_t image_memory;
  zoo_cancel cancel;
  void* cancel_context;
} zoo_decode_request;

// Images of the points a + (b - a) * i / steps, i = 0 … steps, of `rows` pairs of latents.
typedef struct zoo_interpolate_request {
  size_t size;
  const float* a;  // [rows, latent_width]
  const float* b;
  size_t rows;
  size_t steps;
  const int64_t* labels;
  size_t label_count;       // rows or 1
  const float* truncation;  // null: 1
  int32_t spherical;        // not 0: points on the great arc
  int32_t image_memory;
  zoo_cancel cancel;
  void* cancel_context;
} zoo_interpolate_request;

// Rows for an encoder or a classifier (uint8 images [n, H, W, C]), or a mapping (floats
// [n, latent_width]).
typedef struct zoo_rows_request {
  size_t size;
  const void* rows;
  size_t n;
  int32_t input_memory;
  int32_t output_memory;
  zoo_cancel cancel;
  void* cancel_context;
} zoo_rows_request;

typedef struct zoo_translate_request {
  size_t size;
  const void* images;  // uint8 [n, H, W, C] in the format `input` of the description
  size_t n;
  const float* attributes;  // [n, attribute_count], 0 or 1 in training
  int32_t shared;           // not 0: one row of attributes for all images
  int32_t reserved;
  uint64_t seed;  // of translators with noise: image r has that of sample first + r
  uint64_t first;
  const zoo_key* keys;  // n of them, in place of seed and first
  int32_t input_memory;
  int32_t output_memory;
  zoo_cancel cancel;
  void* cancel_context;
} zoo_translate_request;

// A batch of a stream.
typedef struct zoo_batch {
  size_t size;
  uint64_t first;      // index of row 0 in the run
  size_t rows;         // 0 at the end of the stream
  const void* images;  // belong to the stream, until its next call
} zoo_batch;

// Version of the library, "0.1.0", and the ZOO_C_API_VERSION that it was built with.
ZOO_C_API const char* zoo_version(void);
ZOO_C_API uint32_t zoo_c_api_version(void);

// Message of the last failure in this thread, empty if there was none. Belongs to the library,
// until the next failure in this thread.
ZOO_C_API const char* zoo_error_message(void);

// Name of the error's class, such as "ArgumentError"; "OK"; "Error" for unknown numbers.
ZOO_C_API const char* zoo_status_name(zoo_status status);

// Sets the handler of warnings, null: standard error. A call that began before may still use the
// former one.
ZOO_C_API zoo_status zoo_set_warning_handler(zoo_warning_handler handler, void* context);

// Reads the manifest (JSON) of an engine file without loading it. *json is to be freed by
// zoo_free_text.
ZOO_C_API zoo_status zoo_read_manifest(const char* path, char** json);
ZOO_C_API void zoo_free_text(char* text);

// Loads an engine file of any role. options may be null. *engine is to be freed by
// zoo_engine_free.
ZOO_C_API zoo_status zoo_engine_open(const char* path, const zoo_options* options,
                                     zoo_engine** engine);

// Frees an engine; null is ignored. No other thread may be in a call with it. Its streams stay
// valid.
ZOO_C_API void zoo_engine_free(zoo_engine* engine);

ZOO_C_API zoo_status zoo_engine_describe(const zoo_engine* engine, zoo_description* description);

// The number of a class of a conditional generator.
ZOO_C_API zoo_status zoo_engine_label(const zoo_engine* engine, const char* name, int64_t* label);

// The functions below write to memory of the caller, whose size they check: `bytes` is at least
// that of all images. It is filled when the call returns.

// Generators: images [n] of description.image.
ZOO_C_API zoo_status zoo_sample(const zoo_engine* engine, const zoo_sample_request* request,
                                void* images, size_t bytes);

// Generators: images [n]. Without a seed an image depends only on its latent.
ZOO_C_API zoo_status zoo_decode(const zoo_engine* engine, const zoo_decode_request* request,
                                void* images, size_t bytes);

// Generators: images [rows, steps + 1].
ZOO_C_API zoo_status zoo_interpolate(const zoo_engine* engine,
                                     const zoo_interpolate_request* request, void* images,
                                     size_t bytes);

// Encoders: mean and log-variance of the latents, floats [n, latent_width]; logvar may be null.
// values: the size of each array, in floats.
ZOO_C_API zoo_status zoo_encode(const zoo_engine* engine, const zoo_rows_request* request,
                                float* mu, float* logvar, size_t values);

// Classifiers: probabilities, floats [n, score_count]. values: the size of the array, in floats.
ZOO_C_API zoo_status zoo_classify(const zoo_engine* engine, const zoo_rows_request* request,
                                  float* scores, size_t values);

// Mappings of style-based generators: styles, floats [n, style_width]. values: the size of the
// array, in floats.
ZOO_C_API zoo_status zoo_map(const zoo_engine* engine, const zoo_rows_request* request,
                             float* styles, size_t values);

// Translators: images [n] of description.image.
ZOO_C_API zoo_status zoo_translate(const zoo_engine* engine, const zoo_translate_request* request,
                                   void* images, size_t bytes);

// Streams the images of zoo_sample(request) in order, request.batch at a time (0: 64). At most
// `prefetch` batches (0: two per instance) are computed ahead. keys, mu, logvar and device memory
// are not supported; labels are copied; the request's cancel is used by zoo_stream_next. *stream
// is to be freed by zoo_stream_free.
ZOO_C_API zoo_status zoo_stream_open(const zoo_engine* engine, const zoo_sample_request* request,
                                     size_t prefetch, zoo_stream** stream);

// Waits for the next batch. After a failure or a cancellation nothing is lost: the next call
// returns that batch. One thread at a time.
ZOO_C_API zoo_status zoo_stream_next(zoo_stream* stream, zoo_batch* batch);

// Abandons the batches computed ahead: zoo_stream_next returns ZOO_CLOSED_ERROR, even if it was
// waiting already. May be called again.
ZOO_C_API zoo_status zoo_stream_close(zoo_stream* stream);

// Frees a stream; null is ignored. No other thread may be in a call with it.
ZOO_C_API void zoo_stream_free(zoo_stream* stream);

#ifdef __cplusplus
}  // extern "C"
#endif
