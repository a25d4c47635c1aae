// Threads that share one engine, and fill one array with the images of a run:
//   thread_pool ENGINE OUT IMAGES [THREADS [SEED]]
// OUT becomes the images one after another. Each thread takes the next images that nobody has
// begun; which thread makes an image does not matter to its bytes.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <future>
#include <stdexcept>
#include <string>
#include <vector>

#include "zoo/stable.h"

namespace {

constexpr uint64_t kChunk = 16;  // images of a call

// Fills `images` with images of the run with this seed, until there are none left to begin.
void work(const zoo::stable::Engine& engine, uint64_t seed, uint64_t n, std::atomic<uint64_t>* next,
          std::vector<uint8_t>* images) {
  const size_t bytes = engine.description().image.bytes;
  auto request = zoo::stable::sized<zoo_sample_request>();
  request.seed = seed;
  while ((request.first = next->fetch_add(kChunk)) < n) {
    request.n = std::min(kChunk, n - request.first);
    zoo::stable::check(zoo_sample(engine.get(), &request, images->data() + request.first * bytes,
                                  request.n * bytes));
  }
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 4) {
    std::fprintf(stderr, "usage: %s ENGINE OUT IMAGES [THREADS [SEED]]\n", argv[0]);
    return 2;
  }
  const uint64_t n = std::strtoull(argv[3], nullptr, 10);
  const size_t threads = argc > 4 ? std::strtoul(argv[4], nullptr, 10) : 2;
  const uint64_t seed = argc > 5 ? std::strtoull(argv[5], nullptr, 10) : 0;

  const zoo::stable::Engine engine(argv[1]);
  std::vector<uint8_t> images(n * engine.description().image.bytes);
  std::atomic<uint64_t> next{0};
  std::vector<std::future<void>> pool;
  for (size_t i = 0; i < threads; ++i) {
    pool.push_back(
        std::async(std::launch::async, work, std::cref(engine), seed, n, &next, &images));
  }
  // The first failure of a thread is thrown here.
  for (std::future<void>& thread : pool) thread.get();

  std::ofstream out(argv[2], std::ios::binary);
  out.write(reinterpret_cast<const char*>(images.data()),
            static_cast<std::streamsize>(images.size()));
  if (!out.flush()) throw std::runtime_error(std::string("cannot write ") + argv[2]);
  std::printf("%zu images by %zu threads in %s\n", static_cast<size_t>(n), threads, argv[2]);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return 2;
}
