#include "zoo/batcher.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

#include "base/fork.h"
#include "base/wait.h"
#include "core/requests.h"

namespace zoo {
namespace {

using Clock = Batcher::Clock;

struct Pending {
  uint64_t number = 0;
  CheckedRequest request;
  uint64_t n = 0;
  unsigned char* images = nullptr;
  Batcher::Done done;
  Clock::time_point arrived, deadline;
  uint64_t begun = 0;  // images of runs that have begun
  uint64_t ended = 0;  // images of runs that have ended
  std::exception_ptr error;

  // Nothing of it runs, and nothing more will.
  bool is_over() const { return begun == ended && (error || ended == n); }
};
using PendingPointer = std::shared_ptr<Pending>;

// Images first … first + rows - 1 of a request.
struct Piece {
  PendingPointer pending;
  uint64_t first;
  size_t rows;
};

bool share_runs(const Pending& a, const Pending& b) {
  return a.request.source.kind == b.request.source.kind &&
         a.request.inputs.truncation == b.request.inputs.truncation &&
         a.request.inputs.noise == b.request.inputs.noise;
}

// The requests of a run as one.
class MergedRequest {
 public:
  MergedRequest(const Manifest& manifest, const std::vector<Piece>& pieces)
      : pieces_(pieces), bytes_(manifest.image.bytes()) {
    const size_t width = manifest.latent_width;
    const CheckedRequest& like = pieces.front().pending->request;
    source_ = like.source;
    inputs_.truncation = like.inputs.truncation;
    inputs_.noise = like.inputs.noise;
    for (const Piece& piece : pieces) rows_ += piece.rows;
    for (const Piece& piece : pieces) {
      const GraphInputs& inputs = piece.pending->request.inputs;
      for (uint64_t row = piece.first; row < piece.first + piece.rows; ++row) {
        keys_.push_back(inputs.key(row));
        if (manifest.condition_classes == 0) continue;
        labels_.push_back(label_of_row(inputs, manifest.condition_classes, row));
      }
      if (source_.kind != LatentSource::Kind::kLatent) continue;
      const float* const from = piece.pending->request.source.mu + piece.first * width;
      if (pieces.size() == 1) {
        source_.mu = from;
      } else {
        latents_.insert(latents_.end(), from, from + piece.rows * width);
        source_.mu = latents_.data();
      }
    }
    inputs_.keys = keys_.data();
    if (!labels_.empty()) inputs_.labels = labels_.data();
    inputs_.label_count = labels_.size();
    if (pieces.size() > 1) images_.reset(new unsigned char[rows_ * bytes_]);
  }

  void run(Engine* engine) {
    const Images out{images_ ? images_.get() : destination(pieces_.front())};
    const size_t batch = engine->prepare(rows_, 0);
    engine->pool().run(generate_job(engine, source_, inputs_, rows_, batch, out), {});
    const unsigned char* from = images_.get();
    if (!from) return;
    for (const Piece& piece : pieces_) {
      std::memcpy(destination(piece), from, piece.rows * bytes_);
      from += piece.rows * bytes_;
    }
  }

 private:
  unsigned char* destination(const Piece& piece) const {
    return piece.pending->images + piece.first * bytes_;
  }

  const std::vector<Piece>& pieces_;
  const size_t bytes_;
  size_t rows_ = 0;
  LatentSource source_;
  GraphInputs inputs_;
  std::vector<SampleKey> keys_;
  std::vector<int64_t> labels_;
  std::vector<float> latents_;
  std::unique_ptr<unsigned char[]> images_;
};

template <typename E>
std::exception_ptr make_error(const std::string& message) {
  return std::make_exception_ptr(E(message));
}

}  // namespace

struct Batcher::State {
  State(std::shared_ptr<Engine> shared, const BatcherOptions& chosen)
      : engine(std::move(shared)),
        options(chosen),
        delay(std::chrono::duration_cast<Clock::duration>(
            std::chrono::duration<double>(chosen.delay))) {
    // One for each instance, so that none of them waits for the end of a run of the others.
    for (size_t i = 0; i < engine->instances(); ++i) threads.emplace_back([this] { work(); });
  }

  void submit(const PendingPointer& pending) {
    if (process != getpid()) throw ClosedError("the batcher belongs to the parent process");
    const std::lock_guard<std::mutex> lock(mutex);
    if (closed) throw ClosedError("the batcher was closed");
    // A request with more images than may wait is accepted if it waits alone.
    const size_t room = options.queue - std::min(options.queue, statistics.waiting);
    if (statistics.waiting != 0 && pending->n > room) {
      ++statistics.rejected;
      throw BusyError("the batcher is busy: " + std::to_string(statistics.waiting) +
                      " images wait, at most " + std::to_string(options.queue) + " may");
    }
    pending->number = ++last_number;
    pending->arrived = Clock::now();
    statistics.waiting += pending->n;
    queue.push_back(pending);
    all.emplace(pending->number, pending);
    changed.notify_one();
  }

  // Ends requests in the queue without computing their other images. The caller holds the lock, and
  // calls report() without it.
  template <typename Which>
  std::vector<PendingPointer> drop(const Which& which, const std::exception_ptr& error,
                                   uint64_t* counter) {
    std::vector<PendingPointer> over;
    const auto dropped = std::stable_partition(
        queue.begin(), queue.end(), [&](const PendingPointer& one) { return !which(*one); });
    for (auto it = dropped; it != queue.end(); ++it) {
      Pending& pending = **it;
      statistics.waiting -= pending.n - pending.begun;
      pending.error = error;
      if (counter) ++*counter;
      if (pending.is_over()) over.push_back(*it);
    }
    queue.erase(dropped, queue.end());
    for (const PendingPointer& one : over) all.erase(one->number);
    return over;
  }

  static void report(const std::vector<PendingPointer>& over) {
    for (const PendingPointer& pending : over) pending->done(pending->error);
  }

  // Takes the images of the next run from the queue, in the order of arrival. What is left of a
  // large request waits behind all others.
  std::vector<Piece> take() {
    std::vector<Piece> pieces;
    std::deque<PendingPointer> kept, parts;
    size_t space = options.images;
    for (PendingPointer& pending : queue) {
      if (space == 0 || (!pieces.empty() && !share_runs(*pieces.front().pending, *pending))) {
        kept.push_back(std::move(pending));
        continue;
      }
      const auto rows = static_cast<size_t>(std::min<uint64_t>(space, pending->n - pending->begun));
      pieces.push_back({pending, pending->begun, rows});
      pending->begun += rows;
      space -= rows;
      if (pending->begun < pending->n) parts.push_back(pending);
    }
    queue = std::move(kept);
    queue.insert(queue.end(), parts.begin(), parts.end());
    const size_t rows = options.images - space;
    statistics.waiting -= rows;
    statistics.images += rows;
    ++statistics.runs;
    size_t bucket = 0;
    while ((size_t{1} << bucket) < rows) ++bucket;
    if (statistics.run_sizes.size() <= bucket) statistics.run_sizes.resize(bucket + 1);
    ++statistics.run_sizes[bucket];
    return pieces;
  }

  std::vector<PendingPointer> end(const std::vector<Piece>& pieces,
                                  const std::exception_ptr& error) {
    const std::lock_guard<std::mutex> lock(mutex);
    std::vector<PendingPointer> over;
    for (const Piece& piece : pieces) {
      Pending& pending = *piece.pending;
      pending.ended += piece.rows;
      if (!error) continue;
      drop([&](const Pending& one) { return &one == &pending; }, error, nullptr);
      if (!pending.error) pending.error = error;
    }
    for (const Piece& piece : pieces) {
      if (!piece.pending->is_over()) continue;
      all.erase(piece.pending->number);
      over.push_back(piece.pending);
    }
    return over;
  }

  void work() {
    std::unique_lock<std::mutex> lock(mutex);
    while (true) {
      const auto now = Clock::now();
      const auto is_late = [&](const Pending& one) { return one.deadline <= now; };
      if (std::any_of(queue.begin(), queue.end(),
                      [&](const PendingPointer& one) { return is_late(*one); })) {
        const auto error = make_error<DeadlineError>("the deadline of the request has passed");
        const auto late = drop(is_late, error, &statistics.expired);
        lock.unlock();
        report(late);
        lock.lock();
        continue;
      }
      if (queue.empty()) {
        if (closed) return;
        changed.wait_for(lock, kLookAgain);
        continue;
      }
      const auto begin = queue.front()->arrived + delay;
      if (!closed && statistics.waiting < options.images && now < begin) {
        changed.wait_until(lock, begin);
        continue;
      }
      const std::vector<Piece> pieces = take();
      lock.unlock();
      std::exception_ptr error;
      try {
        MergedRequest(engine->manifest(), pieces).run(engine.get());
      } catch (...) {
        error = std::current_exception();
      }
      report(end(pieces, error));
      lock.lock();
    }
  }

  const std::shared_ptr<Engine> engine;
  const BatcherOptions options;
  const Clock::duration delay;
  const pid_t process = getpid();
  mutable std::mutex mutex;
  std::condition_variable changed;
  std::deque<PendingPointer> queue;
  std::unordered_map<uint64_t, PendingPointer> all;  // requests that have not ended
  BatcherStatistics statistics;
  uint64_t last_number = 0;
  bool closed = false;
  std::mutex joining;
  std::vector<std::thread> threads;
};

Batcher::Batcher(const Generator& generator, const BatcherOptions& options) {
  if (options.images == 0) throw ArgumentError("images: expected at least 1, got 0");
  if (options.queue == 0) throw ArgumentError("queue: expected at least 1, got 0");
  if (!(options.delay >= 0.0 && options.delay <= 3600.0)) {
    throw ArgumentError("delay: expected 0 to 3600 seconds, got " + std::to_string(options.delay));
  }
  state_ = std::make_unique<State>(generator.shared_engine(), options);
}

Batcher::~Batcher() {
  if (state_->process == getpid()) {
    close();
  } else {
    // The threads are those of the parent of this process.
    (void)state_.release();
  }
}

namespace {

PendingPointer make_pending(CheckedRequest request, uint64_t n, void* images, Batcher::Done done,
                            Clock::time_point deadline) {
  auto pending = std::make_shared<Pending>();
  pending->request = request;
  pending->n = n;
  pending->images = static_cast<unsigned char*>(images);
  pending->done = std::move(done);
  pending->deadline = deadline;
  return pending;
}

void check_on_host(Memory latents, Memory images) {
  if (latents == Memory::kHost && images == Memory::kHost) return;
  throw ArgumentError("memory: a batcher expects memory of the host");
}

}  // namespace

uint64_t Batcher::sample(const SampleRequest& request, void* images, Done done,
                         Clock::time_point deadline) {
  Engine* const engine = state_->engine.get();
  check_on_host(request.latent_memory, request.image_memory);
  if (request.mu || request.logvar) {
    throw ArgumentError("mu and logvar: expected null, because a batcher samples from the prior");
  }
  const auto pending =
      make_pending(check_request(engine, request, engine->manifest().image.bytes()), request.n,
                   images, std::move(done), deadline);
  state_->submit(pending);
  return pending->number;
}

uint64_t Batcher::decode(const DecodeRequest& request, void* images, Done done,
                         Clock::time_point deadline) {
  check_on_host(request.latent_memory, request.image_memory);
  const auto pending = make_pending(check_request(state_->engine.get(), request), request.n, images,
                                    std::move(done), deadline);
  state_->submit(pending);
  return pending->number;
}

void Batcher::cancel(uint64_t number) {
  std::unique_lock<std::mutex> lock(state_->mutex);
  const auto over = state_->drop([&](const Pending& one) { return one.number == number; },
                                 make_error<CancelledError>("the request was cancelled"),
                                 &state_->statistics.cancelled);
  lock.unlock();
  State::report(over);
}

void Batcher::close(bool finish) {
  std::vector<PendingPointer> over;
  {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    state_->closed = true;
    if (!finish) {
      over = state_->drop([](const Pending&) { return true; },
                          make_error<CancelledError>("the batcher was closed"),
                          &state_->statistics.cancelled);
    }
    state_->changed.notify_all();
  }
  State::report(over);
  const std::lock_guard<std::mutex> lock(state_->joining);
  for (std::thread& thread : state_->threads) {
    if (thread.joinable()) thread.join();
  }
}

BatcherStatistics Batcher::statistics() const {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  return state_->statistics;
}

}  // namespace zoo
