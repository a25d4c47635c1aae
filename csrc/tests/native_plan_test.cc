// Plans from C++, without Python: the public API over libzoo.so, libzoo_tensorrt.so, a TensorRT of
// the same headers (fake_nvinfer.h) and emulated CUDA devices (host_cuda.h).
//   native_plan_test fake LIBRARY
//   native_plan_test real LIBRARY     a real TensorRT: what it refuses, with or without a driver

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "ops/reparametrized_sample.h"
#include "tests/check.h"
#include "tests/fake_nvinfer.h"
#include "tests/host_cuda.h"
#include "zoo/engine.h"
#include "zoo/errors.h"

namespace {

constexpr size_t kWidth = 8;
constexpr size_t kClasses = 3;
constexpr size_t kValues = 6 * 5;
constexpr uint64_t kSeed = 0x123456789abcdef0;
using Bytes = std::vector<uint8_t>;

std::string manifest_of(const std::string& target, const std::string& version) {
  return R"({"schema": 2, "model": "toy", "role": "generator",
    "image": {"height": 6, "width": 5, "channels": 1, "dtype": "uint8", "layout": "NHWC",
              "range": [0, 255]},
    "latent": {"width": 8, "prior": "normal"}, "condition": {"kind": "classes", "count": 3},
    "noise": {"algorithm": "philox4x32-10", "transform": "box-muller", "streams": {"latent": 2}},
    "precision": "fp32", "batch": {"min": 1, "max": 16}, "versions": {"zoo": "0"},
    "plan": {"target": ")" +
         target + R"(", "tensorrt": ")" + version +
         R"(", "buckets": [1, 4, 16], "fp32_layers": [],
             "inputs": [{"name": "latent", "dtype": "float32", "shape": ["N", 8]},
                        {"name": "label", "dtype": "int64", "shape": ["N"]}],
             "outputs": [{"name": "image", "dtype": "uint8", "shape": ["N", 6, 5, 1]}]}})";
}

// A file of TensorRT's layout (core/plan_file.cc), with a network for fake_nvinfer.
class Plan {
 public:
  Plan(const std::string& version, const std::string& network,
       const std::string& target = "tensorrt") {
    const std::string body = std::string(40, '\0') +
                             "zoo.manifest:" + manifest_of(target, version) + std::string(8, '\0') +
                             network;
    std::string bytes = (target == "tensorrt" ? "ftrt" : "vtrt") + std::string(4, '\0');
    for (const uint64_t number : {uint64_t{2}, uint64_t{24} + body.size()}) {
      for (int i = 0; i < 8; ++i) bytes += static_cast<char>(number >> (8 * i) & 0xff);
    }
    char name[] = "/tmp/zoo-native-XXXXXX.plan";
    const int file = ::mkstemps(name, 5);
    CHECK(file >= 0);
    ::close(file);
    path_ = name;
    std::ofstream(path_, std::ios::binary) << bytes << body;
  }
  Plan(const Plan&) = delete;
  ~Plan() { ::unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

const std::string kNetwork = "toy.network: 8 3 30 3 1 4 16;";

// The images, from the noise contract and the definition of the network alone.
Bytes expected(uint64_t first, size_t n) {
  std::vector<float> latents(n * kWidth);
  zoo::fill_normal({kSeed, first, 2}, n, kWidth, latents.data());
  Bytes images;
  for (size_t i = 0; i < n; ++i) {
    const auto label = static_cast<double>((first + i) % kClasses);
    for (size_t p = 0; p < kValues; ++p) {
      double level = 128 + 10 * label;
      for (size_t k = 0; k < kWidth; ++k) {
        const int weight = static_cast<int>((7 * p + 13 * k) % 11) - 5;
        level += 5.0 * weight * latents[i * kWidth + k];
      }
      images.push_back(static_cast<uint8_t>(std::clamp(std::floor(level), 0.0, 255.0)));
    }
  }
  return images;
}

Bytes part_of(const Bytes& whole, size_t first, size_t n) {
  const auto begin = whole.begin() + static_cast<std::ptrdiff_t>(first * kValues);
  return {begin, begin + static_cast<std::ptrdiff_t>(n * kValues)};
}

Bytes sampled(const zoo::Generator& generator, uint64_t first, size_t n, size_t batch = 0) {
  zoo::SampleRequest request;
  request.n = n;
  request.seed = kSeed;
  request.first = first;
  request.batch = batch;
  Bytes images(n * kValues);
  generator.sample(request, images.data());
  return images;
}

decltype(fake_nvinfer_fail)* fail;
decltype(fake_nvinfer_counter)* counter;

void images() {
  const Plan plan("10.14.1", kNetwork);
  const zoo::Generator generator(plan.path());
  CHECK(generator.backend() == "tensorrt" && generator.instances() == 2);
  const Bytes whole = expected(100, 60);
  CHECK(sampled(generator, 100, 60) == whole);
  CHECK(generator.sample(5, kSeed, 103) == part_of(whole, 3, 5));
  for (const size_t batch : {1, 3, 4, 15, 16}) {
    for (const auto& [first, n] : {std::pair<size_t, size_t>{0, 60}, {59, 1}, {7, 40}, {3, 2}}) {
      CHECK(sampled(generator, 100 + first, n, batch) == part_of(whole, first, n));
    }
  }
  // Replays do not ask TensorRT again.
  const int64_t executions = counter("executions"), runs = counter("runs");
  CHECK(sampled(generator, 100, 60) == whole);
  CHECK(counter("executions") == executions && counter("runs") >= runs + 4);

  zoo::Stream stream = generator.stream(60, kSeed, 100, 7);
  Bytes streamed;
  for (zoo::Stream::Batch batch; stream.next(&batch);) {
    streamed.insert(streamed.end(), batch.images.get(), batch.images.get() + batch.rows * kValues);
  }
  CHECK(streamed == whole);

  std::vector<float> latents(60 * kWidth);
  zoo::fill_normal({kSeed, 100, 2}, 60, kWidth, latents.data());
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 60; ++i) labels.push_back((100 + i) % 3);
  Bytes decoded(whole.size());
  generator.decode({latents.data(), 60, {}, 0, labels.data(), labels.size()}, decoded.data());
  CHECK(decoded == whole);
}

void several_at_once() {
  const Plan plan("10.14.1", kNetwork);
  const Bytes whole = expected(0, 40);
  std::vector<int> right(6, 0);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < right.size(); ++i) {
    threads.emplace_back([&, i] {
      // Each opens a plan of its own: the loader and the runtime are shared.
      const zoo::Generator generator(plan.path());
      right[i] = sampled(generator, i, 30) == part_of(whole, i, 30);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int one : right) CHECK(one == 1);
  CHECK(counter("runtimes") == 1 && counter("engines") == 0 && counter("contexts") == 0);
}

// What is refused before there is a runtime: nothing of it is remembered.
void other_libraries(const std::string& fake) {
  const Plan plan("10.14.1", kNetwork);
  const auto open = [&] { return zoo::Generator(plan.path()); };
  ::setenv("ZOO_TENSORRT_LIBRARY", "/nowhere/libnvinfer.so.10", 1);
  THROWS(open(), zoo::BackendUnavailableError, "cannot open '/nowhere/libnvinfer.so.10'");
  ::setenv("ZOO_TENSORRT_LIBRARY", "/proc", 1);
  THROWS(open(), zoo::BackendUnavailableError, "is not installed: pip install 'tensorrt==");
  THROWS(open(), zoo::BackendUnavailableError, "which is not in '/proc'");
  ::setenv("ZOO_TENSORRT_LIBRARY", std::getenv("ZOO_CUDA_LIBRARY"), 1);
  THROWS(open(), zoo::BackendUnavailableError, "is no library of TensorRT: it has no symbol");
  ::unsetenv("ZOO_TENSORRT_LIBRARY");
  if (void* installed = ::dlopen("libnvinfer.so.10", RTLD_LAZY)) {
    ::dlclose(installed);
  } else {
    THROWS(open(), zoo::BackendUnavailableError, "libnvinfer");
    THROWS(open(), zoo::BackendUnavailableError, "set ZOO_TENSORRT_LIBRARY to the folder of");
  }
  ::setenv("ZOO_TENSORRT_LIBRARY", fake.c_str(), 1);
  for (const char* version : {"110400", "101", "8601", "100001"}) {
    ::setenv("FAKE_NVINFER_VERSION", version, 1);
    THROWS(open(), zoo::BackendUnavailableError, "was made with the headers of");
  }
  ::setenv("FAKE_NVINFER_VERSION", "110400", 1);
  THROWS(open(), zoo::BackendUnavailableError, "is TensorRT 11.4.0, and this build");
  // A later minor version has all that the headers know of.
  ::setenv("FAKE_NVINFER_VERSION", "109903", 1);
  fail("createInferRuntime", "CUDA initialization failure with error: 35");
  THROWS(open(), zoo::ExecutionError,
         "TensorRT 10.99.3.7 makes no runtime: createInferRuntime: CUDA");
  fail("createInferRuntime", "out of memory");
  THROWS(open(), zoo::OutOfMemoryError, "out of memory");

  const Plan rtx("1.7.1", kNetwork, "tensorrt-rtx");
  THROWS(zoo::Generator(rtx.path()), zoo::BackendUnavailableError,
         "is a plan of TensorRT for RTX, and libzoo_tensorrt_rtx.so");
  THROWS(zoo::Generator(rtx.path()), zoo::BackendUnavailableError, "TENSORRT_RTX_HOME");
  THROWS(zoo::Generator(rtx.path()), zoo::BackendUnavailableError, "import runtime");
  CHECK(counter("runtimes") == 0);
}

void refused_plans() {
  // The library is 10.99.3, build 7, from here on.
  const Plan older("10.13.2", "");
  THROWS(zoo::Generator(older.path()), zoo::BackendUnavailableError,
         "was built by tensorrt 10.13.2, here is 10.99.3.7; build it again: python -m export");
  THROWS(zoo::Generator(older.path()), zoo::BackendUnavailableError, "(unknown plan)");
  for (const char* version : {"10.99.3", "10.99.3.7", "10.99.3.7.post1"}) {
    const Plan same(version, "");
    THROWS(zoo::Generator(same.path()), zoo::EngineFileError,
           "TensorRT 10.99.3.7 does not open '" + same.path() + "': deserializeCudaEngine: Error");
  }
  const Plan longer("10.99.3.70", "");
  THROWS(zoo::Generator(longer.path()), zoo::BackendUnavailableError, "here is 10.99.3.7;");
  const Plan good("10.13.2", kNetwork);
  fail("deserializeCudaEngine", "Error Code 2: OutOfMemory (Requested size was 5 bytes.)");
  THROWS(zoo::Generator(good.path()), zoo::OutOfMemoryError, "Requested size was 5 bytes");
  THROWS(zoo::Generator("/nowhere.plan"), zoo::EngineNotFoundError, "/nowhere.plan");
  CHECK(counter("engines") == 0);
}

void failures() {
  const Plan plan("10.99.3.7", kNetwork);
  for (const auto& [function, words] : {std::pair{"createExecutionContext", "makes no context"},
                                        {"setOptimizationProfileAsync", "has no profile 1"},
                                        {"setInputShape", "does not take [4, 8] for 'latent'"},
                                        {"setTensorAddress", "takes no address for '"},
                                        {"enqueueV3", "does not run"}}) {
    const zoo::Generator generator(plan.path(), {"auto", "auto", "fp32", 1});
    fail(function, "told to");
    THROWS(sampled(generator, 0, 4), zoo::ExecutionError, words);
    // The engine lives on, and the failure is not remembered.
    CHECK(sampled(generator, 0, 4) == expected(0, 4));
    fail("createExecutionContext", "told to");
    THROWS(sampled(generator, 0, 1), zoo::ExecutionError, ": createExecutionContext: told to");
  }
  CHECK(counter("engines") == 0 && counter("contexts") == 0);
}

void too_little_memory() {
  const Plan plan("10.99.3.7", kNetwork);
  std::string warned;
  zoo::set_warning_handler([&](const std::string& line) { warned += line + "\n"; });
  const zoo::Generator generator(plan.path(), {"auto", "auto", "fp32", 1});
  fail("createExecutionContext", "Error Code 1: Cuda Runtime (out of memory)");
  CHECK(sampled(generator, 0, 16) == expected(0, 16));
  CHECK(warned.find("runs fewer images at a time than 16: TensorRT 10.99.3.7 makes no context") !=
        std::string::npos);
  CHECK(std::count(warned.begin(), warned.end(), '\n') == 1);
  // The memory that our own code allocates.
  warned.clear();
  const zoo::Generator second(plan.path(), {"auto", "auto", "fp32", 1});
  void* const device = ::dlopen(std::getenv("ZOO_CUDA_LIBRARY"), RTLD_NOW | RTLD_NOLOAD);
  const auto break_device =
      reinterpret_cast<decltype(&host_cuda_fail)>(::dlsym(device, "host_cuda_fail"));
  break_device("allocate", 3, "cudaErrorMemoryAllocation: told to");
  THROWS(sampled(second, 0, 16), zoo::OutOfMemoryError, "the GPU has no ");
  CHECK(std::count(warned.begin(), warned.end(), '\n') == 2);
  zoo::set_warning_handler({});
}

// A real library: what it says is told, and nothing crashes.
void real_library() {
  const Plan plan("10.14.1", kNetwork);
  void* const driver = ::dlopen("libcuda.so.1", RTLD_LAZY);
  for (int time = 0; time < 2; ++time) {
    if (driver) {
      THROWS(zoo::Generator(plan.path()), zoo::BackendUnavailableError, "build it again");
    } else {
      THROWS(zoo::Generator(plan.path()), zoo::ExecutionError,
             "makes no runtime: createInferRuntime: Error Code 6");
      THROWS(zoo::Generator(plan.path()), zoo::ExecutionError, "CUDA initialization failure");
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string library = argv[2];
  if (argv[1] == std::string("real")) {
    ::setenv("ZOO_TENSORRT_LIBRARY", library.c_str(), 1);
    real_library();
    return zoo::test::report();
  }
  void* const fake = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  CHECK(fake != nullptr);
  if (!fake) return zoo::test::report();
  fail = reinterpret_cast<decltype(fail)>(::dlsym(fake, "fake_nvinfer_fail"));
  counter = reinterpret_cast<decltype(counter)>(::dlsym(fake, "fake_nvinfer_counter"));
  other_libraries(library);
  refused_plans();
  images();
  several_at_once();
  failures();
  too_little_memory();
  CHECK(counter("runtimes") == 1 && counter("engines") == 0 && counter("contexts") == 0);
  return zoo::test::report();
}
