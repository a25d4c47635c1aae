#include "core/image_runner.h"

#include <algorithm>
#include <cstring>

#include "core/checks.h"

namespace zoo {
namespace {

unsigned char* row(const Rows& rows, size_t index) {
  return static_cast<unsigned char*>(rows.data) + index * rows.bytes;
}

// Where the rows of a call begin, how many of them a run takes, and how many rows it has.
struct Part {
  size_t offset;
  size_t count;
  size_t rows;
};

void run_in_place(Engine* engine, size_t instance, const Rows& images,
                  const std::vector<Rows>& outputs, const GraphInputs& inputs, const Part& part) {
  RunArguments arguments;
  arguments.rows = part.rows;
  arguments.inputs = {{images.name, images.data}};
  for (const Rows& output : outputs) {
    if (output.data) arguments.outputs.push_back({output.name, output.data});
  }
  Backend& backend = engine->backend();
  bind_inputs(*engine, backend, inputs, part.offset, part.count, part.rows, &arguments);
  backend.run(instance, arguments);
}

// The last, shorter run of a backend with fixed sizes: pad, then cut.
void run_padded(Engine* engine, size_t instance, const Rows& images,
                const std::vector<Rows>& outputs, const GraphInputs& inputs, const Part& part) {
  std::vector<std::vector<unsigned char>> buffers;
  const auto buffer = [&](const Rows& rows) {
    buffers.emplace_back(rows.data ? part.rows * rows.bytes : 0);
    return Rows{rows.name, rows.data ? buffers.back().data() : nullptr, rows.bytes};
  };
  const Rows padded = buffer(images);
  std::memcpy(padded.data, images.data, part.count * images.bytes);
  std::vector<Rows> results;
  for (const Rows& output : outputs) results.push_back(buffer(output));
  run_in_place(engine, instance, padded, results, inputs, part);
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i].data) continue;
    std::memcpy(outputs[i].data, results[i].data, part.count * outputs[i].bytes);
  }
}

}  // namespace

void run_image_rows(Engine* engine, size_t instance, const Rows& images,
                    const std::vector<Rows>& outputs, const GraphInputs& inputs, size_t offset,
                    size_t count, size_t batch) {
  const auto at = [offset](const Rows& rows) {
    return Rows{rows.name, rows.data ? row(rows, offset) : nullptr, rows.bytes};
  };
  std::vector<Rows> targets;
  for (const Rows& output : outputs) targets.push_back(at(output));
  const bool padded = engine->backend().fixed_batch() && count != batch;
  const auto run = padded ? run_padded : run_in_place;
  run(engine, instance, at(images), targets, inputs, {offset, count, padded ? batch : count});
}

void require_uint8_images(const Engine& engine) {
  if (engine.manifest().image.type == ImageType::kUint8) return;
  throw ManifestError("'" + engine.path() + "': a file of the role '" + engine.manifest().role +
                      "' has uint8 images");
}

void run_images(Engine* engine, const Rows& images, size_t n, const std::vector<Rows>& outputs,
                const GraphInputs& inputs, const Cancel& cancel) {
  check_range(n, inputs.first, images.bytes);
  for (const Rows& output : outputs) check_range(n, 0, output.bytes);
  Backend& backend = engine->backend();
  const size_t batch = engine->run_size(n, 0);
  if (backend.fixed_batch()) backend.prepare(batch);
  const auto work = [=, &images, &outputs](size_t instance, size_t chunk) {
    const size_t offset = chunk * batch;
    const size_t count = std::min(batch, n - offset);
    run_image_rows(engine, instance, images, outputs, inputs, offset, count, batch);
  };
  engine->pool().run(std::make_shared<Job>((n + batch - 1) / batch, work), cancel);
}

}  // namespace zoo
