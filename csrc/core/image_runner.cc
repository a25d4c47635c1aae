#include "core/image_runner.h"

#include <algorithm>
#include <cstring>

#include "core/checks.h"

namespace zoo {
namespace {

unsigned char* row(const Rows& rows, size_t index) {
  return static_cast<unsigned char*>(rows.data) + index * rows.bytes;
}

void run_in_place(Backend* backend, size_t instance, const Rows& images,
                  const std::vector<Rows>& outputs, size_t offset, size_t count) {
  RunArguments arguments;
  arguments.rows = count;
  arguments.inputs = {{images.name, row(images, offset)}};
  for (const Rows& output : outputs) {
    if (output.data) arguments.outputs.push_back({output.name, row(output, offset)});
  }
  backend->run(instance, arguments);
}

// The last, shorter run of a backend with fixed sizes: pad, then cut.
void run_padded(Backend* backend, size_t instance, const Rows& images,
                const std::vector<Rows>& outputs, size_t offset, size_t count, size_t batch) {
  std::vector<std::vector<unsigned char>> buffers;
  const auto buffer = [&](const Rows& rows) {
    buffers.emplace_back(rows.data ? batch * rows.bytes : 0);
    return Rows{rows.name, rows.data ? buffers.back().data() : nullptr, rows.bytes};
  };
  const Rows padded = buffer(images);
  std::memcpy(padded.data, row(images, offset), count * images.bytes);
  std::vector<Rows> results;
  for (const Rows& output : outputs) results.push_back(buffer(output));
  run_in_place(backend, instance, padded, results, 0, batch);
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i].data) continue;
    std::memcpy(row(outputs[i], offset), results[i].data, count * outputs[i].bytes);
  }
}

}  // namespace

void run_image_rows(Backend* backend, size_t instance, const Rows& images,
                    const std::vector<Rows>& outputs, size_t offset, size_t count, size_t batch) {
  if (backend->fixed_batch() && count != batch) {
    run_padded(backend, instance, images, outputs, offset, count, batch);
  } else {
    run_in_place(backend, instance, images, outputs, offset, count);
  }
}

void require_uint8_images(const Engine& engine) {
  if (engine.manifest().image.type == ImageType::kUint8) return;
  throw ManifestError("'" + engine.path() + "': a file of the role '" + engine.manifest().role +
                      "' has uint8 images");
}

void run_images(Engine* engine, const Rows& images, size_t n, const std::vector<Rows>& outputs,
                const Cancel& cancel) {
  check_range(n, 0, images.bytes);
  for (const Rows& output : outputs) check_range(n, 0, output.bytes);
  Backend* const backend = &engine->backend();
  const size_t batch = engine->run_size(n, 0);
  if (backend->fixed_batch()) backend->prepare(batch);
  const auto work = [=, &images, &outputs](size_t instance, size_t chunk) {
    const size_t offset = chunk * batch;
    run_image_rows(backend, instance, images, outputs, offset, std::min(batch, n - offset), batch);
  };
  engine->pool().run(std::make_shared<Job>((n + batch - 1) / batch, work), cancel);
}

}  // namespace zoo
