#include "zoo/batcher.h"

#include <sys/eventfd.h>

#include <mutex>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

#include "python/requests.h"

namespace zoo::python {
namespace {

// A batcher whose requests end in the thread of Python that calls take(). A file descriptor becomes
// readable when there is something to take, for an event loop: the threads of the batcher never
// wait for the GIL.
class PyBatcher {
 public:
  PyBatcher(const Generator& generator, const BatcherOptions& options)
      : finished_(std::make_shared<Finished>()), batcher_(generator, options) {}

  PyBatcher(const PyBatcher&) = delete;
  PyBatcher& operator=(const PyBatcher&) = delete;
  ~PyBatcher() {
    batcher_.close(/*finish=*/false);
    const GilHeld held;
    kept_.clear();
  }

  uint64_t sample(const py::object& from, const py::array& images, std::optional<double> seconds) {
    return submit<ParsedSample>(
        from, images, seconds,
        [this](const SampleRequest& request, void* to, Batcher::Done done, auto deadline) {
          return batcher_.sample(request, to, std::move(done), deadline);
        });
  }

  uint64_t decode(const py::object& from, const py::array& images, std::optional<double> seconds) {
    return submit<ParsedDecode>(
        from, images, seconds,
        [this](const DecodeRequest& request, void* to, Batcher::Done done, auto deadline) {
          return batcher_.decode(request, to, std::move(done), deadline);
        });
  }

  // Returns the tokens of the requests that have ended since the last call, with None or an error.
  py::list take() {
    py::list taken;
    for (auto& [token, error] : finished_->take()) {
      taken.append(py::make_tuple(token, error ? to_python(error) : py::none()));
      kept_.erase(token);
    }
    return taken;
  }

  void cancel(uint64_t token) {
    const auto found = kept_.find(token);
    if (found == kept_.end()) return;
    const uint64_t number = found->second.number;
    without_gil([&] { batcher_.cancel(number); });
  }

  void close(bool finish) {
    without_gil([&] { batcher_.close(finish); });
  }

  int fileno() const { return finished_->event; }

  BatcherStatistics statistics() const { return batcher_.statistics(); }

 private:
  // Requests that have ended; outlives the batcher until its threads have.
  struct Finished {
    Finished() : event(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
      if (event < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    }
    ~Finished() { ::close(event); }

    void add(uint64_t token, std::exception_ptr error) {
      const std::lock_guard<std::mutex> lock(mutex);
      ended.emplace_back(token, std::move(error));
      if (ended.size() == 1) eventfd_write(event, 1);
    }

    std::vector<std::pair<uint64_t, std::exception_ptr>> take() {
      const std::lock_guard<std::mutex> lock(mutex);
      eventfd_t count = 0;
      eventfd_read(event, &count);
      return std::exchange(ended, {});
    }

    const int event;
    std::mutex mutex;
    std::vector<std::pair<uint64_t, std::exception_ptr>> ended;
  };

  // The memory of a request.
  struct Kept {
    uint64_t number = 0;
    std::shared_ptr<void> request;
    py::array images;
  };

  template <typename Parsed, typename Submit>
  uint64_t submit(const py::object& from, py::array images, std::optional<double> seconds,
                  const Submit& call) {
    const auto parsed = std::make_shared<Parsed>(from);
    const uint64_t token = ++last_;
    auto deadline = Batcher::Clock::time_point::max();
    if (seconds) {
      deadline = Batcher::Clock::now() + std::chrono::duration_cast<Batcher::Clock::duration>(
                                             std::chrono::duration<double>(*seconds));
    }
    void* const to = images.mutable_data();
    kept_[token] = {0, parsed, std::move(images)};
    const auto done = [finished = finished_, token](std::exception_ptr error) {
      finished->add(token, std::move(error));
    };
    try {
      kept_[token].number = without_gil([&] { return call(parsed->request, to, done, deadline); });
    } catch (...) {
      kept_.erase(token);
      throw;
    }
    return token;
  }

  const std::shared_ptr<Finished> finished_;
  std::unordered_map<uint64_t, Kept> kept_;  // guarded by the GIL
  uint64_t last_ = 0;
  Batcher batcher_;
};

Owned<PyBatcher> make(const Generator& generator, size_t images, double delay, size_t queue) {
  BatcherOptions options;
  options.images = images;
  options.delay = delay;
  options.queue = queue;
  return Owned<PyBatcher>(new PyBatcher(generator, options));
}

}  // namespace

void bind_batcher(py::module_& module) {
  py::class_<BatcherStatistics>(module, "BatcherStatistics")
      .def_readonly("images", &BatcherStatistics::images)
      .def_readonly("runs", &BatcherStatistics::runs)
      .def_readonly("rejected", &BatcherStatistics::rejected)
      .def_readonly("cancelled", &BatcherStatistics::cancelled)
      .def_readonly("expired", &BatcherStatistics::expired)
      .def_readonly("waiting", &BatcherStatistics::waiting)
      .def_readonly("run_sizes", &BatcherStatistics::run_sizes);
  py::class_<PyBatcher, Owned<PyBatcher>>(module, "Batcher")
      .def(py::init(&make))
      .def("sample", &PyBatcher::sample)
      .def("decode", &PyBatcher::decode)
      .def("take", &PyBatcher::take)
      .def("cancel", &PyBatcher::cancel)
      .def("close", &PyBatcher::close)
      .def("fileno", &PyBatcher::fileno)
      .def("statistics", &PyBatcher::statistics);
}

}  // namespace zoo::python
