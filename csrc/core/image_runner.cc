#include "core/image_runner.h"

#include <algorithm>
#include <cstring>

#include "base/checks.h"
#include "core/run_job.h"

namespace zoo {
namespace {

unsigned char* row(const Rows& rows, size_t index) {
  return static_cast<unsigned char*>(rows.data) + index * rows.bytes;
}

// Returns the part of a call that begins at its row `offset`.
RowCall skip_rows(const RowCall& call, size_t offset) {
  RowCall rest = call;
  rest.images.data = row(call.images, offset);
  for (Rows& output : rest.outputs) {
    if (output.data) output.data = row(output, offset);
  }
  return rest;
}

// Runs the graph once with `rows` rows, on the buffers of the call. Their first row is row `offset`
// of the caller's request, and `count` of the rows belong to it.
void run_in_place(Backend* backend, const Manifest& manifest, size_t instance, const RowCall& call,
                  size_t offset, size_t count, size_t rows, Team* team) {
  RunArguments arguments;
  arguments.rows = rows;
  arguments.team = team;
  arguments.count = count;
  arguments.inputs = {{call.images.name, call.images.data, call.images.memory}};
  for (const Rows& output : call.outputs) {
    if (output.data) arguments.outputs.push_back({output.name, output.data, output.memory});
  }
  bind_inputs(manifest, *backend, call.inputs, offset, count, rows, &arguments);
  backend->run(instance, arguments);
}

// Does the same through padded copies, for a backend with fixed run sizes that would read and write
// past the end of the caller's buffers in the last, shorter run.
void run_padded(Backend* backend, const Manifest& manifest, size_t instance, const RowCall& call,
                size_t offset, size_t count, size_t rows) {
  std::vector<std::vector<unsigned char>> buffers;
  RowCall padded = call;
  const auto pad = [&](Rows* part) {
    buffers.emplace_back(part->data ? rows * part->bytes : 0);
    if (part->data) part->data = buffers.back().data();
  };
  pad(&padded.images);
  std::memcpy(padded.images.data, call.images.data, count * call.images.bytes);
  for (Rows& output : padded.outputs) pad(&output);
  run_in_place(backend, manifest, instance, padded, offset, count, rows, nullptr);
  for (size_t i = 0; i < call.outputs.size(); ++i) {
    if (!call.outputs[i].data) continue;
    std::memcpy(call.outputs[i].data, padded.outputs[i].data, count * call.outputs[i].bytes);
  }
}

}  // namespace

void run_image_rows(Backend* backend, const Manifest& manifest, size_t instance,
                    const RowCall& call, size_t offset, size_t count, size_t batch, Team* team) {
  if (call.inputs.keys && needs_series(*backend)) {
    for_each_series(call.inputs, offset, count, [&](size_t begin, size_t series, SampleKey key) {
      RowCall part = call;
      part.inputs = inputs_of_series(call.inputs, offset + begin, key);
      run_image_rows(backend, manifest, instance, part, offset + begin, series, batch, team);
    });
    return;
  }
  const RowCall rest = skip_rows(call, offset);
  if (backend->fixed_batch() && count != batch && !backend->copies()) {
    run_padded(backend, manifest, instance, rest, offset, count, batch);
  } else {
    const size_t rows = backend->fixed_batch() ? batch : count;
    run_in_place(backend, manifest, instance, rest, offset, count, rows, team);
  }
}

void require_uint8_images(const Engine& engine) {
  if (engine.manifest().image.type == ImageType::kUint8) return;
  throw ManifestError("'" + engine.path() + "': images of the role '" + engine.manifest().role +
                      "' must be uint8");
}

void run_images(Engine* engine, const RowCall& call, size_t n, const Cancel& cancel) {
  check_range(n, call.inputs.first, call.images.bytes);
  engine->check_memory(call.images.name, call.images.data, call.images.memory);
  for (const Rows& output : call.outputs) {
    check_range(n, 0, output.bytes);
    engine->check_memory(output.name, output.data, output.memory);
  }
  Backend* const backend = &engine->backend();
  const size_t batch = engine->prepare(n, 0);
  const auto run = [=, &call](size_t instance, size_t chunk, Team* team) {
    const size_t offset = chunk * batch;
    const size_t count = std::min(batch, n - offset);
    run_image_rows(backend, engine->manifest(), instance, call, offset, count, batch, team);
  };
  engine->pool().run(make_run_job(backend, n, (n + batch - 1) / batch, run), cancel);
}

}  // namespace zoo
