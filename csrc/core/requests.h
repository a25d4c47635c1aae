// Checks of the requests of a generator.
#pragma once

#include "core/row_runner.h"
#include "zoo/generator.h"

namespace zoo {

// What a request computes.
struct CheckedRequest {
  LatentSource source;
  GraphInputs inputs;
};

// Check all of a request but its memory for images, of which n of `image_bytes` must fit. Throw
// ArgumentError.
CheckedRequest check_request(Engine* engine, const SampleRequest& request, size_t image_bytes);
CheckedRequest check_request(Engine* engine, const DecodeRequest& request);

}  // namespace zoo
