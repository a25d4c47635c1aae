#include <unistd.h>

#include <algorithm>
#include <new>

#include "core/row_runner.h"
#include "core/stream_state.h"
#include "zoo/errors.h"

namespace zoo {

Stream::State::State(std::shared_ptr<Engine> engine, const SampleRequest& request,
                     const GraphInputs& inputs, size_t prefetch)
    : engine_(std::move(engine)),
      n_(request.n),
      batch_(request.batch),
      labels_(inputs.labels, inputs.labels + inputs.label_count),
      inputs_(inputs),
      prefetch_(prefetch),
      // Prepared here, not with the first batch: what follows is then evenly fast.
      run_rows_(engine_->prepare(request.n, request.batch)),
      process_(getpid()) {
  if (inputs.labels) inputs_.labels = labels_.data();
}

Stream::State::~State() {
  close();
  if (process_ == getpid()) return;
  // The jobs belong to the parent's threads, which may still be writing there.
  for (auto& ahead : ahead_) ahead.batch.images.release();
}

void Stream::State::restart_after_fork() {
  if (process_ == getpid()) return;
  for (auto& ahead : ahead_) ahead.batch.images.release();
  ahead_.clear();
  begun_ = delivered_;
  process_ = getpid();
}

void Stream::State::fill() {
  const size_t bytes = engine_->manifest().image.bytes();
  while (ahead_.size() < prefetch_ && begun_ < n_) {
    GraphInputs inputs = inputs_;
    inputs.first += begun_;
    Ahead ahead;
    ahead.batch.first = inputs.first;
    ahead.batch.rows = static_cast<size_t>(std::min<uint64_t>(batch_, n_ - begun_));
    ahead.batch.images.reset(new unsigned char[ahead.batch.rows * bytes]);
    ahead.job = generate_job(engine_.get(), LatentSource{}, inputs, ahead.batch.rows, run_rows_,
                             {ahead.batch.images.get()});
    begun_ += ahead.batch.rows;
    ahead_.push_back(std::move(ahead));
    engine_->pool().submit(ahead_.back().job);
  }
}

bool Stream::State::next(Batch* batch, const Cancel& cancel) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) throw ClosedError("the stream was closed");
  restart_after_fork();
  fill();
  if (ahead_.empty()) return false;
  try {
    engine_->pool().wait(ahead_.front().job,
                         [&] { return closed_.load() || (cancel && cancel()); });
  } catch (const CancelledError&) {
    if (closed_) throw ClosedError("the stream was closed");
    throw;
  }
  *batch = std::move(ahead_.front().batch);
  ahead_.pop_front();
  delivered_ += batch->rows;
  fill();
  return true;
}

void Stream::State::close() {
  closed_ = true;
  if (process_ != getpid()) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  for (auto& ahead : ahead_) engine_->pool().abandon(ahead.job);
  ahead_.clear();
}

Stream::Stream(std::shared_ptr<State> state) : state_(std::move(state)) {}
Stream::Stream(Stream&&) noexcept = default;
Stream& Stream::operator=(Stream&&) noexcept = default;
Stream::~Stream() = default;

bool Stream::next(Batch* batch, const Cancel& cancel) { return state_->next(batch, cancel); }

void Stream::close() { state_->close(); }

}  // namespace zoo
