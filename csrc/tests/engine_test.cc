// Sampling, streaming, cancellation and errors with a shipped generator. Arguments: its file, the
// backend.

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/check.h"
#include "zoo/engine.h"

namespace {

std::vector<uint8_t> sample(const zoo::Generator& generator, uint64_t n, uint64_t first,
                            size_t batch) {
  std::vector<uint8_t> images(n * generator.manifest().image.bytes());
  generator.sample(zoo::SampleRequest{n, 11, first, batch}, images.data());
  return images;
}

void images_do_not_depend_on_the_batch(const zoo::Generator& generator) {
  const auto all = sample(generator, 70, 0, 0);
  for (const size_t batch : {1u, 7u, 64u}) CHECK(sample(generator, 70, 0, batch) == all);
  const size_t bytes = generator.manifest().image.bytes();
  const auto part = sample(generator, 5, 33, 2);
  CHECK(std::memcmp(part.data(), all.data() + 33 * bytes, part.size()) == 0);
}

void threads_share_a_generator(const zoo::Generator& generator) {
  const auto expected = sample(generator, 20, 0, 4);
  std::atomic<int> different{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int repeat = 0; repeat < 5; ++repeat) {
        if (sample(generator, 20, 0, 4) != expected) ++different;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(different == 0);
}

void streams(const zoo::Generator& generator) {
  const auto expected = sample(generator, 50, 9, 0);
  std::vector<uint8_t> images;
  zoo::Stream stream = generator.stream(50, 11, 9, 8);
  zoo::Stream::Batch batch;
  while (stream.next(&batch)) {
    CHECK(batch.first == 9 + images.size() / generator.manifest().image.bytes());
    images.insert(images.end(), batch.images.get(),
                  batch.images.get() + batch.rows * generator.manifest().image.bytes());
  }
  CHECK(images == expected);

  zoo::Stream early = generator.stream(100000, 0, 0, 16);
  CHECK(early.next(&batch));
  early.close();
  early.close();
  THROWS(early.next(&batch), zoo::ClosedError, "closed");
  {
    const zoo::Stream dropped = generator.stream(100000, 0, 0, 16);
  }
}

// No batch is lost or repeated, however a call of next() ends.
void a_stream_goes_on_after_a_cancel(const zoo::Generator& generator) {
  constexpr size_t kRows = 1024;
  const size_t bytes = generator.manifest().image.bytes();
  const auto expected = sample(generator, 3 * kRows, 0, 0);
  zoo::Stream stream = generator.stream(3 * kRows, 11, 0, kRows, 1);
  zoo::Stream::Batch batch;
  size_t cancelled = 0;
  for (uint64_t index = 0; index < 3; ++index) {
    while (true) {
      bool again = false;
      try {
        stream.next(&batch, [&]() -> bool {
          THROWS(stream.next(&batch), zoo::ArgumentError, "from the cancel function");
          if (++cancelled % 2 == 0) throw std::runtime_error("from the callback");
          return true;
        });
      } catch (const zoo::CancelledError&) {
        again = true;
      } catch (const std::runtime_error& error) {
        again = true;
        CHECK(std::string(error.what()) == "from the callback");
      }
      if (!again) break;
    }
    CHECK(batch.first == index * kRows && batch.rows == kRows);
    const uint8_t* const images = expected.data() + index * kRows * bytes;
    CHECK(std::memcmp(batch.images.get(), images, kRows * bytes) == 0);
  }
  CHECK(cancelled > 0);
  CHECK(!stream.next(&batch));

  zoo::Stream closed = generator.stream(3 * kRows, 11, 0, kRows, 1);
  const zoo::Cancel close = [&] {
    closed.close();
    return false;
  };
  THROWS(closed.next(&batch, close), zoo::ClosedError, "closed");
  THROWS(closed.next(&batch), zoo::ClosedError, "closed");
}

void a_throwing_cancel_leaves_the_images_alone(const zoo::Generator& generator) {
  zoo::SampleRequest request;
  request.n = 4000;
  std::vector<uint8_t> images(request.n * generator.manifest().image.bytes());
  const zoo::Cancel fails = []() -> bool { throw std::runtime_error("from the callback"); };
  THROWS(generator.sample(request, images.data(), fails), std::runtime_error, "from the callback");
  const std::vector<uint8_t> marks(images.size(), 0xab);
  images = marks;
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  CHECK(images == marks);
}

void bad_files(const std::string& engine) {
  std::ifstream in(engine, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  const std::string path = "/tmp/zoo_engine_test_" + std::to_string(getpid());
  const auto write = [&path](const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
  };
  // Every prefix is refused without a crash.
  for (size_t size = 1; size < bytes.size(); size += 1 + size / 7) {
    write(bytes.substr(0, size));
    THROWS(zoo::Manifest::read(path), zoo::EngineFileError, path);
  }
  // A pipe without a writer, and a file that is too long for ONNX.
  CHECK(::mkfifo((path + ".pipe").c_str(), 0600) == 0);
  THROWS(zoo::Manifest::read(path + ".pipe"), zoo::EngineFileError, "not a regular file");
  std::remove((path + ".pipe").c_str());
  CHECK(::truncate(path.c_str(), off_t{1} << 40) == 0);
  THROWS(zoo::Manifest::read(path), zoo::EngineFileError, "1099511627776 bytes");
  std::remove(path.c_str());
}

// tests/runtime/test_arguments.py has bad values of every kind for every argument.
void interpolations_beyond_the_memory(const zoo::Generator& generator) {
  uint8_t byte = 0;
  const std::vector<float> ends(generator.manifest().latent_width);
  for (const size_t steps : {SIZE_MAX, SIZE_MAX / 8, SIZE_MAX / 1000}) {
    const zoo::InterpolateRequest path{ends.data(), ends.data(), 1, steps};
    THROWS(generator.interpolate(path, &byte), zoo::ArgumentError, "do not fit in memory");
  }
}

void run(const std::string& path, const zoo::Options& options) {
  const zoo::Generator generator(path, options);
  images_do_not_depend_on_the_batch(generator);
  threads_share_a_generator(generator);
  streams(generator);
  a_stream_goes_on_after_a_cancel(generator);
  a_throwing_cancel_leaves_the_images_alone(generator);
  bad_files(path);
  interpolations_beyond_the_memory(generator);
}

}  // namespace

int main(int argc, char** argv) { return zoo::test::run_with_engine(argc, argv, run); }
