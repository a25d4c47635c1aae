#include <unistd.h>

#include <algorithm>
#include <new>

#include "core/row_runner.h"
#include "core/stream_state.h"
#include "zoo/errors.h"

namespace zoo {

Stream::State::State(std::shared_ptr<Engine> engine, const SampleRequest& request, size_t prefetch)
    : engine_(std::move(engine)),
      request_(request),
      labels_(request.labels
                  ? std::vector<int64_t>(request.labels, request.labels + request.label_count)
                  : std::vector<int64_t>()),
      prefetch_(prefetch),
      run_rows_(engine_->run_size(request.n, request.batch)),
      process_(getpid()) {
  // Here, not with the first batch: what follows is then evenly fast.
  engine_->backend().prepare(run_rows_);
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
  while (ahead_.size() < prefetch_ && begun_ < request_.n) {
    Ahead ahead;
    ahead.batch.first = request_.first + begun_;
    ahead.batch.rows = static_cast<size_t>(std::min<uint64_t>(request_.batch, request_.n - begun_));
    ahead.batch.images.reset(new unsigned char[ahead.batch.rows * bytes]);
    GraphInputs inputs;
    inputs.seed = request_.seed;
    inputs.first = ahead.batch.first;
    if (request_.labels) {
      inputs.labels = labels_.data();
      inputs.label_count = labels_.size();
      inputs.label_origin = request_.cycle ? 0 : request_.first;
    }
    inputs.truncation = request_.truncation;
    inputs.noise = request_.noise;
    ahead.job = generate_job(engine_.get(), LatentSource{}, inputs, ahead.batch.rows, run_rows_,
                             ahead.batch.images.get());
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
