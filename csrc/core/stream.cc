#include <algorithm>
#include <exception>

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
      run_rows_(engine_->prepare(request.n, request.batch)) {
  if (inputs.labels) inputs_.labels = labels_.data();
}

Stream::State::~State() { drop(&work_.get()); }

// The batch that begins with image `index` of the request, not submitted yet.
Stream::State::Ahead Stream::State::begin(uint64_t index) {
  GraphInputs inputs = inputs_;
  inputs.first += index;
  Ahead ahead;
  ahead.batch.first = inputs.first;
  ahead.batch.rows = static_cast<size_t>(std::min<uint64_t>(batch_, n_ - index));
  ahead.batch.images.reset(new unsigned char[ahead.batch.rows * engine_->manifest().image.bytes()]);
  ahead.job = generate_job(engine_.get(), LatentSource{}, inputs, ahead.batch.rows, run_rows_,
                           {ahead.batch.images.get()});
  return ahead;
}

void Stream::State::fill(Work* work) {
  uint64_t begun = delivered_;
  for (const Ahead& ahead : work->ahead) begun += ahead.batch.rows;
  while (work->ahead.size() < prefetch_ && begun < n_) {
    work->ahead.push_back(begin(begun));
    try {
      engine_->pool().submit(work->ahead.back().job);
    } catch (...) {
      work->ahead.pop_back();
      throw;
    }
    begun += work->ahead.back().batch.rows;
  }
}

void Stream::State::drop(Work* work) {
  for (Ahead& ahead : work->ahead) engine_->pool().abandon(ahead.job);
  work->ahead.clear();
}

bool Stream::State::take(Work* work, Batch* batch, const Cancel& cancel) {
  try {
    fill(work);
  } catch (const std::exception&) {
    // What is there already comes first.
    if (work->ahead.empty()) throw;
  }
  if (work->ahead.empty()) return false;
  bool stopped = false;
  const auto stop = [&] {
    stopped = true;  // also where cancel throws
    return stopped = closed_ || (cancel && cancel());
  };
  try {
    // Who cancels leaves the batch to be finished for the next call.
    if (!engine_->pool().join(work->ahead.front().job, stop)) {
      if (closed_) throw ClosedError("the stream was closed");
      throw CancelledError("cancelled by the caller");
    }
  } catch (const std::exception&) {
    // The batch failed; the next call tries it again.
    if (!stopped) drop(work);
    throw;
  }
  *batch = std::move(work->ahead.front().batch);
  work->ahead.pop_front();
  delivered_ += batch->rows;
  try {
    fill(work);
  } catch (const std::exception&) {
    // Said by the call that finds nothing.
  }
  return true;
}

bool Stream::State::next(Batch* batch, const Cancel& cancel) {
  Work& work = work_.get();
  const auto self = std::this_thread::get_id();
  if (work.consumer == self) {
    throw ArgumentError("stream: next() was called by what another next() calls while it waits");
  }
  // Whoever closes does not wait for this call, which then has to tidy up.
  struct Turn {
    State* state;
    Work* work;
    Turn(State* owner, Work* taken, std::thread::id consumer) : state(owner), work(taken) {
      work->mutex.lock();
      work->consumer = consumer;
    }
    ~Turn() {
      work->consumer = std::thread::id();
      work->mutex.unlock();
      if (state->closed_) state->close();
    }
  };
  const Turn turn(this, &work, self);
  if (closed_) throw ClosedError("the stream was closed");
  return take(&work, batch, cancel);
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
