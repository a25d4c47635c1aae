#include "c/engine.h"
#include "c/status.h"

struct zoo_stream {
  zoo::Stream stream;
  zoo::Cancel cancel;
  zoo::Stream::Batch batch;  // that the caller reads
};

using zoo::c::guarded;
using zoo::c::require;

zoo_status zoo_stream_open(const zoo_engine* engine, const zoo_sample_request* request,
                           size_t prefetch, zoo_stream** stream) {
  return guarded([&] {
    require("stream", stream);
    *stream = nullptr;
    const auto& generator = zoo::c::engine_as<zoo::Generator>(engine, "a generator");
    const zoo_sample_request from = zoo::c::read_struct("request", request);
    *stream = new zoo_stream{generator.stream(zoo::c::sample_request(from), prefetch),
                             zoo::c::cancel_of(from.cancel, from.cancel_context),
                             {}};
  });
}

zoo_status zoo_stream_next(zoo_stream* stream, zoo_batch* batch) {
  return guarded([&] {
    require("stream", stream);
    zoo::c::check_size("batch", batch);
    zoo_batch next{};
    if (stream->stream.next(&stream->batch, stream->cancel)) {
      next.first = stream->batch.first;
      next.rows = stream->batch.rows;
      next.images = stream->batch.images.get();
    }
    zoo::c::write_struct("batch", next, batch);
  });
}

zoo_status zoo_stream_close(zoo_stream* stream) {
  return guarded([&] {
    require("stream", stream);
    stream->stream.close();
  });
}

void zoo_stream_free(zoo_stream* stream) { delete stream; }
