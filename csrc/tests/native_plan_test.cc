// Plans in C++ without Python: the public API with libzoo.so, libzoo_tensorrt.so, a fake TensorRT
// with the same headers (fake_nvinfer.h) and emulated CUDA devices (host_cuda.h).
//   native_plan_test fake LIBRARY     all tests with the fake library
//   native_plan_test wheel LIBRARY    the search for the library in wheels
//   native_plan_test system LIBRARY   the search for the library in the system
//   native_plan_test real LIBRARY     errors of a real TensorRT, with or without a driver

#include <NvInferVersion.h>
#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "base/library.h"
#include "tests/check.h"
#include "tests/fake_nvinfer.h"
#include "tests/toy_plan.h"
#include "zoo/engine.h"
#include "zoo/errors.h"

namespace {

using zoo::test::Bytes;
using zoo::test::expected;
using zoo::test::kNetwork;
using zoo::test::kSeed;
using zoo::test::kValues;
using zoo::test::Plan;

const std::string kMajor = std::to_string(NV_TENSORRT_MAJOR);
// The version of fake_nvinfer in most tests, as a number and in the format of TensorRT's packages.
const std::string kNumber = kMajor + "9903";
const std::string kVersion = kMajor + ".99.3.7";

Bytes slice(const Bytes& whole, size_t first, size_t n) {
  const auto begin = whole.begin() + static_cast<std::ptrdiff_t>(first * kValues);
  return {begin, begin + static_cast<std::ptrdiff_t>(n * kValues)};
}

Bytes sample(const zoo::Generator& generator, uint64_t first, size_t n, size_t batch = 0) {
  Bytes images(n * kValues);
  generator.sample(zoo::SampleRequest{n, kSeed, first, batch}, images.data());
  return images;
}

decltype(fake_nvinfer_fail)* fail;
decltype(fake_nvinfer_counter)* counter;

void images() {
  const Plan plan("10.14.1", kNetwork);
  // With one instance, because another might not have run before.
  const zoo::Generator generator(plan.path(), {"auto", "auto", "fp32", 1});
  CHECK(generator.backend() == "tensorrt");
  CHECK(sample(generator, 100, 60, 7) == expected(100, 60));
  // Replays do not call TensorRT.
  const int64_t executions = counter("executions"), runs = counter("runs");
  CHECK(sample(generator, 100, 60, 7) == expected(100, 60));
  CHECK(counter("executions") == executions && counter("runs") >= runs + 9);
}

// Plans with a manifest that does not match their network are refused before memory is allocated.
void other_networks() {
  const std::pair<const char*, const char*> networks[] = {
      {"toy.network: 9 3 30 3 1 4 16;",
       "'latent' is float32 [N, 9] in its network, but float32 [N, 8] in its manifest"},
      {"toy.network: 8 3 60 3 1 4 16;", "'image' is uint8 [N, 6, 5, 2] in its network"}};
  for (const auto& [network, problem] : networks) {
    const Plan plan("10.14.1", network);
    THROWS(zoo::Generator(plan.path()), zoo::EngineFileError, problem);
  }
  CHECK(counter("contexts") == 0);
}

void several_at_once() {
  const Plan plan("10.14.1", kNetwork);
  const Bytes whole = expected(0, 40);
  std::vector<int> right(6, 0);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < right.size(); ++i) {
    threads.emplace_back([&, i] {
      // Each thread opens its own plan, and they share the loader and the runtime.
      const zoo::Generator generator(plan.path());
      right[i] = sample(generator, i, 30) == slice(whole, i, 30);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int one : right) CHECK(one == 1);
  CHECK(counter("runtimes") == 1 && counter("engines") == 0 && counter("contexts") == 0);
}

// Libraries that are refused before a runtime is created, which may be retried.
void other_libraries(const std::string& fake) {
  const Plan plan("10.14.1", kNetwork);
  const auto open = [&] { return zoo::Generator(plan.path()); };
  ::setenv("ZOO_TENSORRT_LIBRARY", "/nowhere/libnvinfer.so", 1);
  THROWS(open(), zoo::BackendUnavailableError, "cannot open '/nowhere/libnvinfer.so'");
  ::setenv("ZOO_TENSORRT_LIBRARY", "/proc", 1);
  THROWS(open(), zoo::BackendUnavailableError, "is not installed: pip install 'tensorrt==");
  THROWS(open(), zoo::BackendUnavailableError, "which is not in '/proc'");
  ::setenv("ZOO_TENSORRT_LIBRARY", std::getenv("ZOO_CUDA_LIBRARY"), 1);
  THROWS(open(), zoo::BackendUnavailableError, "is not a library of TensorRT: it has no symbol");
  ::setenv("ZOO_TENSORRT_LIBRARY", fake.c_str(), 1);
  for (const auto& [number, version] :
       {std::pair{"990400", "99.4.0"}, {"8601", "8.6.1"}, {"10400", "1.4.0"}}) {
    ::setenv("FAKE_NVINFER_VERSION", number, 1);
    THROWS(open(), zoo::BackendUnavailableError,
           "' is TensorRT " + std::string(version) + ", but this build");
    THROWS(open(), zoo::BackendUnavailableError,
           "of generator-zoo has the headers of " + kMajor + ".");
  }
  if (NV_TENSORRT_MAJOR == 10) {
    ::setenv("FAKE_NVINFER_VERSION", "100001", 1);
    THROWS(open(), zoo::BackendUnavailableError, "install TensorRT 10 (10.1.0 or newer)");
  }
  // A later minor version has all functions of the headers.
  ::setenv("FAKE_NVINFER_VERSION", kNumber.c_str(), 1);
  fail("createInferRuntime", "CUDA initialization failure with error: 35");
  THROWS(open(), zoo::ExecutionError,
         "TensorRT " + kVersion + " cannot create a runtime: createInferRuntime: CUDA");
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
  const Plan older("10.13.2", "");
  THROWS(
      zoo::Generator(older.path()), zoo::BackendUnavailableError,
      "was built by tensorrt 10.13.2, but " + kVersion + " is installed; build it again: python");
  THROWS(zoo::Generator(older.path()), zoo::BackendUnavailableError, "(unknown plan)");
  for (const std::string& version : {kMajor + ".99.3", kVersion, kVersion + ".post1"}) {
    const Plan same(version, "");
    THROWS(zoo::Generator(same.path()), zoo::EngineFileError,
           "TensorRT " + kVersion + " cannot open '" + same.path() +
               "': deserializeCudaEngine: Error");
  }
  const Plan longer(kVersion + "0", "");
  THROWS(zoo::Generator(longer.path()), zoo::BackendUnavailableError,
         "but " + kVersion + " is installed;");
  const Plan good("10.13.2", kNetwork);
  fail("deserializeCudaEngine", "Error Code 2: OutOfMemory (Requested size was 5 bytes.)");
  THROWS(zoo::Generator(good.path()), zoo::OutOfMemoryError, "Requested size was 5 bytes");
  THROWS(zoo::Generator("/nowhere.plan"), zoo::EngineNotFoundError, "/nowhere.plan");
  CHECK(counter("engines") == 0);
}

// Plans that a device cannot run are refused.
void other_devices() {
  const Plan bound(kVersion, kNetwork, "tensorrt", "fp32", R"(, "compute_capability": "8.9")");
  THROWS(zoo::Generator(bound.path()), zoo::BackendUnavailableError,
         "is bound to GPUs of compute capability 8.9; cuda:0 (emulated) has 9.0");
  const Plan half(kVersion, kNetwork, "tensorrt", "bf16");
  const Plan eight(kVersion, kNetwork, "tensorrt", "fp8", R"(, "calibration": {})");
  const Plan not_eight(kVersion, kNetwork, "tensorrt", "fp8");
  CHECK(sample(zoo::Generator(eight.path()), 0, 4) == expected(0, 4));
  ::setenv("HOST_CUDA_CAPABILITY", "86", 1);
  THROWS(zoo::Generator(eight.path()), zoo::BackendUnavailableError,
         "is in fp8, which needs compute capability 8.9; cuda:0 (emulated) has 8.6");
  CHECK(sample(zoo::Generator(not_eight.path()), 0, 4) == expected(0, 4));
  CHECK(sample(zoo::Generator(half.path()), 0, 4) == expected(0, 4));
  ::setenv("HOST_CUDA_CAPABILITY", "75", 1);
  THROWS(zoo::Generator(half.path()), zoo::BackendUnavailableError,
         "is in bf16, which needs compute capability 8.0; cuda:0 (emulated) has 7.5");
  ::unsetenv("HOST_CUDA_CAPABILITY");
}

void failures() {
  const Plan plan(kVersion, kNetwork);
  for (const auto& [function, words] :
       {std::pair{"createExecutionContext", "cannot create an execution context"},
        {"setOptimizationProfileAsync", "cannot select profile 1"},
        {"setInputShape", "does not accept shape [4, 8] for 'latent'"},
        {"setTensorAddress", "does not accept the address of '"},
        {"enqueueV3", "cannot run the plan"}}) {
    const zoo::Generator generator(plan.path(), {"auto", "auto", "fp32", 1});
    fail(function, "told to");
    THROWS(sample(generator, 0, 4), zoo::ExecutionError, words);
    // The engine is still usable afterwards.
    CHECK(sample(generator, 0, 4) == expected(0, 4));
    fail("createExecutionContext", "told to");
    THROWS(sample(generator, 0, 1), zoo::ExecutionError, ": createExecutionContext: told to");
  }
  CHECK(counter("engines") == 0 && counter("contexts") == 0);
}

void too_little_memory() {
  const Plan plan(kVersion, kNetwork);
  std::string warned;
  zoo::set_warning_handler([&](const std::string& line) { warned += line + "\n"; });
  const zoo::Generator generator(plan.path(), {"auto", "auto", "fp32", 1});
  fail("createExecutionContext", "Error Code 1: Cuda Runtime (out of memory)");
  CHECK(sample(generator, 0, 16) == expected(0, 16));
  CHECK(warned.find("runs fewer images at a time than 16: TensorRT " + kVersion +
                    " cannot create an execution context") != std::string::npos);
  CHECK(std::count(warned.begin(), warned.end(), '\n') == 1);
  zoo::set_warning_handler({});
}

// A folder that is removed by the destructor.
class Folder {
 public:
  explicit Folder(const std::string& path) : path_(path) {}
  Folder(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  void link(const std::string& library, const std::string& name) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::filesystem::create_symlink(library, path_ / name);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  const std::filesystem::path path_;
};

bool opens_plan() {
  const Plan plan("10.14.1", kNetwork);
  return sample(zoo::Generator(plan.path()), 3, 20) == expected(3, 20);
}

// Restarts this program with a new folder in the library search path of the system.
[[noreturn]] void restart(const char* program, const char* mode, const char* library) {
  char name[] = "/tmp/zoo-tensorrt-XXXXXX";
  CHECK(::mkdtemp(name) != nullptr);
  ::setenv("LD_LIBRARY_PATH", name, 1);
  ::execl("/proc/self/exe", program, mode, library, name, nullptr);
  std::abort();
}

// The library is found by its name in the search path of the system.
void found_by_the_system(const std::string& fake, const Folder& folder) {
  folder.link(fake, "libnvinfer.so." + kMajor);
  CHECK(opens_plan());
}

// The library is found in NVIDIA's wheels, if those in the search path of the system are invalid.
void found_in_wheels(const std::string& fake, const Folder& folder) {
  for (const char* name : {"libnvinfer.so.", "libnvinfer_lean.so."}) {
    std::ofstream(folder.path() / (name + kMajor)) << std::string(5000, 'x');
  }
  const Plan plan("10.14.1", kNetwork);
  const auto open = [&] { return zoo::Generator(plan.path()); };
  THROWS(open(), zoo::BackendUnavailableError, "TensorRT " + kMajor + ", which this build is for");
  THROWS(open(), zoo::BackendUnavailableError, "pip install 'tensorrt==" + kMajor + ".*'");
  THROWS(open(), zoo::BackendUnavailableError, "invalid ELF header");
  zoo::add_search_folder(folder.path());
  folder.link(fake, "tensorrt_libs/libnvinfer.so.99");
  THROWS(open(), zoo::BackendUnavailableError, "libnvinfer.so.99' is of another version");
  folder.link(fake, "tensorrt_lean_libs/libnvinfer_lean.so." + kMajor);
  CHECK(opens_plan());
}

// Errors of a real library are reported without a crash.
void real_library() {
  const Plan plan("10.14.1", kNetwork);
  void* const driver = ::dlopen("libcuda.so.1", RTLD_LAZY);
  for (int time = 0; time < 2; ++time) {
    if (driver) {
      THROWS(zoo::Generator(plan.path()), zoo::BackendUnavailableError, "build it again");
    } else {
      THROWS(zoo::Generator(plan.path()), zoo::ExecutionError,
             "cannot create a runtime: createInferRuntime: Error Code 6");
      THROWS(zoo::Generator(plan.path()), zoo::ExecutionError, "CUDA initialization failure");
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const std::string mode = argv[1], library = argv[2];
  if (mode == "real") {
    ::setenv("ZOO_TENSORRT_LIBRARY", library.c_str(), 1);
    real_library();
  } else if (mode == "fake") {
    void* const fake = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    CHECK(fake != nullptr);
    if (!fake) return zoo::test::report();
    fail = reinterpret_cast<decltype(fail)>(::dlsym(fake, "fake_nvinfer_fail"));
    counter = reinterpret_cast<decltype(counter)>(::dlsym(fake, "fake_nvinfer_counter"));
    other_libraries(library);
    refused_plans();
    images();
    other_networks();
    other_devices();
    several_at_once();
    failures();
    too_little_memory();
    CHECK(counter("runtimes") == 1 && counter("engines") == 0 && counter("contexts") == 0);
  } else {
    ::unsetenv("ZOO_TENSORRT_LIBRARY");
    if (argc < 4) restart(argv[0], argv[1], argv[2]);
    const Folder folder(argv[3]);
    if (mode == "wheel") found_in_wheels(library, folder);
    if (mode == "system") found_by_the_system(library, folder);
  }
  return zoo::test::report();
}
