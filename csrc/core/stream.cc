#include <algorithm>
#include <exception>

#include "core/row_runner.h"
#include "core/stream_state.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

Stream::State::State(std::shared_ptr<Engine> engine, const SampleRequest& request,
                     const LatentSource& source, const GraphInputs& inputs, size_t prefetch)
    : engine_(std::move(engine)),
      n_(request.n),
      batch_(request.batch),
      source_(source),
      labels_(inputs.labels, inputs.labels + inputs.label_count),
      inputs_(inputs),
      prefetch_(prefetch),
      // Prepared here so that the first batch takes no longer than the others.
      run_rows_(engine_->prepare(request.n, request.batch)) {
  if (inputs.labels) inputs_.labels = labels_.data();
}

Stream::State::~State() { drop(&work_.get()); }

// Creates the batch that begins with image `index` of the request, without submitting it.
Stream::State::Pending Stream::State::create_batch(uint64_t index) {
  GraphInputs inputs = inputs_;
  inputs.first += index;
  inputs.begin += index;
  Batch batch;
  batch.first = inputs.first;
  batch.rows = static_cast<size_t>(std::min<uint64_t>(batch_, n_ - index));
  batch.images.reset(new unsigned char[batch.rows * engine_->manifest().image.bytes()]);
  auto job =
      generate_job(engine_.get(), source_, inputs, batch.rows, run_rows_, {batch.images.get()});
  return {std::move(batch), std::move(job)};
}

void Stream::State::fill(Work* work) {
  uint64_t begun = delivered_;
  for (const Pending& pending : work->queue) begun += pending.batch.rows;
  while (work->queue.size() < prefetch_ && begun < n_) {
    work->queue.push_back(create_batch(begun));
    try {
      engine_->pool().submit(work->queue.back().job);
    } catch (...) {
      work->queue.pop_back();
      throw;
    }
    begun += work->queue.back().batch.rows;
  }
}

void Stream::State::drop(Work* work) {
  for (Pending& pending : work->queue) engine_->pool().abandon(pending.job);
  work->queue.clear();
}

bool Stream::State::pop(Work* work, Batch* batch, const Cancel& cancel) {
  try {
    fill(work);
  } catch (const std::exception&) {
    // Batches that are queued already are handed out before the error.
    if (work->queue.empty()) throw;
  }
  if (work->queue.empty()) return false;
  // A consumer that took less time for the last batch is expected back as soon again.
  const bool soon = Clock::now() - work->returned < InstancePool::kSoon;
  bool stopped = false;
  const auto stop = [&] {
    stopped = true;  // stays true if cancel throws
    return stopped = closed_ || (cancel && cancel());
  };
  try {
    // After a cancellation the batch goes on, for the next call.
    if (!engine_->pool().join_next(work->queue.front().job, stop, soon)) {
      if (closed_) throw ClosedError("the stream was closed");
      throw CancelledError("cancelled by the caller");
    }
  } catch (const std::exception&) {
    // If the batch itself failed, the next call tries it again.
    if (!stopped) drop(work);
    throw;
  }
  *batch = std::move(work->queue.front().batch);
  work->queue.pop_front();
  delivered_ += batch->rows;
  try {
    fill(work);
  } catch (const std::exception&) {
    // Thrown again by the call that finds the queue empty.
  }
  work->returned = Clock::now();
  return true;
}

bool Stream::State::next(Batch* batch, const Cancel& cancel) {
  Work& work = work_.get();
  const auto self = std::this_thread::get_id();
  if (work.consumer == self) {
    throw ArgumentError("stream: next() must not be called from the cancel function of a next()");
  }
  // close() does not wait for this call, which therefore cleans up when it returns.
  struct ConsumerLock {
    State* state;
    Work* work;
    ConsumerLock(State* owner, Work* locked, std::thread::id consumer)
        : state(owner), work(locked) {
      work->mutex.lock();
      work->consumer = consumer;
    }
    ~ConsumerLock() {
      work->consumer = std::thread::id();
      work->mutex.unlock();
      if (state->closed_) state->close();
    }
  };
  const ConsumerLock lock(this, &work, self);
  if (closed_) throw ClosedError("the stream was closed");
  return pop(&work, batch, cancel);
}

void Stream::State::close() {
  closed_ = true;
  Work& work = work_.get();
  if (work.consumer == std::this_thread::get_id()) return;
  const std::unique_lock<std::mutex> lock(work.mutex, std::try_to_lock);
  if (lock) drop(&work);
}

Stream::Stream(std::shared_ptr<State> state) : state_(std::move(state)) {}
Stream::Stream(Stream&&) noexcept = default;
Stream& Stream::operator=(Stream&&) noexcept = default;
Stream::~Stream() = default;

bool Stream::next(Batch* batch, const Cancel& cancel) { return state_->next(batch, cancel); }

void Stream::close() { state_->close(); }

}  // namespace zoo
