#include "tests/host_onnxruntime.h"

#include <algorithm>
#include <cstdio>
#include <set>

#include "tests/host_onnxruntime_state.h"

namespace zoo::host_ort {
namespace {

constexpr const char* kCuda = "CUDAExecutionProvider";

const std::set<std::string> kOptions = {"device_id",
                                        "gpu_mem_limit",
                                        "arena_extend_strategy",
                                        "cudnn_conv_algo_search",
                                        "enable_cuda_graph",
                                        "prefer_nhwc",
                                        "use_tf32",
                                        "do_copy_in_default_stream"};

Provider* provider_of(OrtCUDAProviderOptionsV2* options) {
  return reinterpret_cast<Provider*>(options);
}

OrtStatus* create_environment(OrtLoggingLevel level, const char* name, OrtEnv** made) noexcept {
  OrtStatus* status = real().CreateEnv(level, name, made);
  const Guard lock(state().mutex);
  state().environment = !status;
  return status;
}

OrtStatus* providers(char*** names, int* count) noexcept {
  *count = 2;
  *names = new char*[2]{::strdup(kCuda), ::strdup("CPUExecutionProvider")};
  return nullptr;
}

OrtStatus* release_providers(char** names, int count) noexcept {
  std::for_each(names, names + count, [](char* name) { std::free(name); });
  delete[] names;
  return nullptr;
}

OrtStatus* create_options(OrtCUDAProviderOptionsV2** made) noexcept {
  *made = reinterpret_cast<OrtCUDAProviderOptionsV2*>(new Provider);
  return nullptr;
}

void release_options(OrtCUDAProviderOptionsV2* options) noexcept { delete provider_of(options); }

OrtStatus* update_options(OrtCUDAProviderOptionsV2* options, const char* const* names,
                          const char* const* values, size_t count) noexcept {
  std::string message;
  if (told("load", &message)) return failure(message);
  {
    const Guard lock(state().mutex);
    if (!state().environment) return failure("Attempt to use DefaultLogger: no environment yet");
    const std::string& needed = state().needed_library;
    if (!needed.empty() && !::dlopen(needed.c_str(), RTLD_LAZY | RTLD_NOLOAD)) {
      return failure("Failed to load library libonnxruntime_providers_cuda.so with error: " +
                     needed + ": cannot open shared object file: No such file or directory");
    }
  }
  for (size_t i = 0; i < count; ++i) {
    if (kOptions.count(names[i]) == 0) {
      return failure(std::string("Unknown provider option: \"") + names[i] + "\"");
    }
    provider_of(options)->settings[names[i]] = values[i];
  }
  return nullptr;
}

OrtStatus* update_option(OrtCUDAProviderOptionsV2* options, const char* name,
                         void* value) noexcept {
  if (std::strcmp(name, "user_compute_stream") != 0) return failure("no such option");
  provider_of(options)->stream = value;
  return nullptr;
}

OrtStatus* append(OrtSessionOptions* options, const OrtCUDAProviderOptionsV2* cuda) noexcept {
  const Guard lock(state().mutex);
  const auto& given = *reinterpret_cast<const Provider*>(cuda);
  state().appended[options] = given;
  return nullptr;
}

void release_session_options(OrtSessionOptions* options) noexcept {
  {
    const Guard lock(state().mutex);
    state().appended.erase(options);
  }
  real().ReleaseSessionOptions(options);
}

OrtStatus* add_operator(OrtCustomOpDomain* domain, const OrtCustomOp* op) noexcept {
  const char* provider = op->GetExecutionProviderType(op);
  const bool cuda = provider && std::strcmp(provider, kCuda) == 0;
  return real().CustomOpDomain_Add(domain, cuda ? on_cpu(op) : op);
}

OrtStatus* create_memory_info(const char* name, OrtAllocatorType type, int id, OrtMemType kind,
                              OrtMemoryInfo** made) noexcept {
  if (std::strcmp(name, "Cuda") != 0) {
    return real().CreateMemoryInfo(name, type, id, kind, made);
  }
  OrtStatus* status = real().CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, made);
  const Guard lock(state().mutex);
  if (!status) state().memory_of[*made] = id;
  return status;
}

void release_memory_info(OrtMemoryInfo* info) noexcept {
  {
    const Guard lock(state().mutex);
    state().memory_of.erase(info);
  }
  real().ReleaseMemoryInfo(info);
}

bool memory_of_device(const void* data, size_t bytes, int device) {
  int found = -1;
  if (!devices().is_device(data, bytes) || devices().ops->device_of(data, &found)) return false;
  return found == device;
}

OrtStatus* create_tensor(const OrtMemoryInfo* info, void* data, size_t bytes, const int64_t* shape,
                         size_t rank, ONNXTensorElementDataType type, OrtValue** made) noexcept {
  int device = -1;
  {
    const Guard lock(state().mutex);
    const auto found = state().memory_of.find(info);
    if (found != state().memory_of.end()) device = found->second;
  }
  if (device >= 0 && !memory_of_device(data, bytes, device)) {
    return failure("a tensor is not in the memory of device " + std::to_string(device));
  }
  return real().CreateTensorWithDataAsOrtValue(info, data, bytes, shape, rank, type, made);
}

const OrtApi* api(uint32_t version) noexcept {
  return version <= ORT_API_VERSION ? table() : real_base()->GetApi(version);
}

const char* version() noexcept { return real_base()->GetVersionString(); }

}  // namespace

const OrtApi* table() {
  static const OrtApi* const made = [] {
    auto* copy = static_cast<OrtApi*>(std::malloc(sizeof(OrtApi)));
    std::memcpy(static_cast<void*>(copy), &real(), sizeof(OrtApi));
    copy->CreateEnv = create_environment;
    copy->GetAvailableProviders = providers;
    copy->ReleaseAvailableProviders = release_providers;
    copy->CreateCUDAProviderOptions = create_options;
    copy->ReleaseCUDAProviderOptions = release_options;
    copy->UpdateCUDAProviderOptions = update_options;
    copy->UpdateCUDAProviderOptionsWithValue = update_option;
    copy->SessionOptionsAppendExecutionProvider_CUDA_V2 = append;
    copy->ReleaseSessionOptions = release_session_options;
    copy->CustomOpDomain_Add = add_operator;
    copy->CreateMemoryInfo = create_memory_info;
    copy->ReleaseMemoryInfo = release_memory_info;
    copy->CreateTensorWithDataAsOrtValue = create_tensor;
    copy->KernelContext_GetOutput = operator_output;
    copy->GetTensorMutableData = data_on_device;
    use_sessions(copy);
    return copy;
  }();
  return made;
}

}  // namespace zoo::host_ort

extern "C" __attribute__((visibility("default"))) const OrtApiBase* OrtGetApiBase() noexcept {
  static const OrtApiBase base{zoo::host_ort::api, zoo::host_ort::version};
  return &base;
}

void host_ort_fail(const char* what, int times, const char* message) {
  const zoo::host_ort::Guard lock(zoo::host_ort::state().mutex);
  zoo::host_ort::state().failures[what] = {times, message};
}

void host_ort_need(const char* library) {
  const zoo::host_ort::Guard lock(zoo::host_ort::state().mutex);
  zoo::host_ort::state().needed_library = library;
}

const char* host_ort_option(const char* name) {
  const zoo::host_ort::Guard lock(zoo::host_ort::state().mutex);
  const auto& settings = zoo::host_ort::state().last_settings;
  const auto found = settings.find(name);
  return found == settings.end() ? nullptr : found->second.c_str();
}

uint64_t host_ort_counter(const char* name) {
  zoo::host_ort::State& all = zoo::host_ort::state();
  const zoo::host_ort::Guard lock(all.mutex);
  if (std::strcmp(name, "sessions") == 0) return all.sessions.size();
  for (const char* known : {"enqueued", "runs", "operators"}) {
    if (std::strcmp(known, name) == 0) return all.counts[name];
  }
  return UINT64_MAX;
}

void host_ort_reset() {
  zoo::host_ort::State& all = zoo::host_ort::state();
  const zoo::host_ort::Guard lock(all.mutex);
  all.counts.clear();
  all.failures.clear();
  all.needed_library.clear();
}
