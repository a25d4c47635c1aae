#include "tests/host_onnxruntime.h"

#include <algorithm>

#include "tests/host_onnxruntime_state.h"

namespace zoo::host_ort {
namespace {

// Returns true, and the message, if this call has to fail.
bool fails(const char* what, std::string* message) {
  const Guard lock(state().mutex);
  const auto failure = state().failures.find(what);
  if (failure == state().failures.end() || failure->second.first == 0) return false;
  --failure->second.first;
  *message = failure->second.second;
  return true;
}

Provider& as_provider(OrtCUDAProviderOptionsV2* options) {
  return *reinterpret_cast<Provider*>(options);
}

OrtStatus* create_environment(OrtLoggingLevel level, const char* name, OrtEnv** out) noexcept {
  OrtStatus* status = real().CreateEnv(level, name, out);
  const Guard lock(state().mutex);
  state().environment = !status;
  return status;
}

OrtStatus* providers(char*** names, int* count) noexcept {
  *count = 1;
  *names = new char*[1]{::strdup("CUDAExecutionProvider")};
  return nullptr;
}

OrtStatus* release_providers(char** names, int) noexcept {
  std::free(names[0]);
  delete[] names;
  return nullptr;
}

OrtStatus* create_options(OrtCUDAProviderOptionsV2** out) noexcept {
  *out = reinterpret_cast<OrtCUDAProviderOptionsV2*>(new Provider);
  return nullptr;
}

void release_options(OrtCUDAProviderOptionsV2* options) noexcept { delete &as_provider(options); }

OrtStatus* update_options(OrtCUDAProviderOptionsV2* options, const char* const* names,
                          const char* const* values, size_t count) noexcept {
  std::string message;
  if (fails("load", &message)) return failure(message);
  const Guard lock(state().mutex);
  if (!state().environment) return failure("Attempt to use DefaultLogger: no environment yet");
  for (size_t i = 0; i < count; ++i) as_provider(options).settings[names[i]] = values[i];
  return nullptr;
}

OrtStatus* update_option(OrtCUDAProviderOptionsV2* options, const char* name,
                         void* value) noexcept {
  if (std::strcmp(name, "user_compute_stream") != 0) return failure("no such option");
  as_provider(options).stream = value;
  return nullptr;
}

OrtStatus* append(OrtSessionOptions* options, const OrtCUDAProviderOptionsV2* cuda) noexcept {
  const Guard lock(state().mutex);
  state().appended[options] = *reinterpret_cast<const Provider*>(cuda);
  return nullptr;
}

void release_session_options(OrtSessionOptions* options) noexcept {
  {
    const Guard lock(state().mutex);
    state().appended.erase(options);
  }
  real().ReleaseSessionOptions(options);
}

OrtStatus* create_memory_info(const char* name, OrtAllocatorType type, int id, OrtMemType kind,
                              OrtMemoryInfo** out) noexcept {
  if (std::strcmp(name, "Cuda") != 0) return real().CreateMemoryInfo(name, type, id, kind, out);
  OrtStatus* status = real().CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, out);
  const Guard lock(state().mutex);
  if (!status) state().memory_devices[*out] = id;
  return status;
}

void release_memory_info(OrtMemoryInfo* info) noexcept {
  {
    const Guard lock(state().mutex);
    state().memory_devices.erase(info);
  }
  real().ReleaseMemoryInfo(info);
}

OrtStatus* create_tensor(const OrtMemoryInfo* info, void* data, size_t bytes, const int64_t* shape,
                         size_t rank, ONNXTensorElementDataType type, OrtValue** out) noexcept {
  int expected = -1;
  {
    const Guard lock(state().mutex);
    const auto entry = state().memory_devices.find(info);
    if (entry != state().memory_devices.end()) expected = entry->second;
  }
  int device = -1;
  if (expected >= 0 && (!devices().is_device(data, bytes) ||
                        devices().ops.device_of(data, &device) || device != expected)) {
    return failure("a tensor is not in the memory of device " + std::to_string(expected));
  }
  return real().CreateTensorWithDataAsOrtValue(info, data, bytes, shape, rank, type, out);
}

OrtStatus* create_session(const OrtEnv* env, const void* model, size_t bytes,
                          const OrtSessionOptions* options, OrtSession** out) noexcept {
  auto session = std::make_unique<Session>();
  {
    const Guard lock(state().mutex);
    const auto provider = state().appended.find(options);
    if (provider == state().appended.end()) {
      return real().CreateSessionFromArray(env, model, bytes, options, out);
    }
    session->provider = provider->second;
  }
  std::string message;
  const bool graph = session->provider.settings["enable_cuda_graph"] == "1";
  if (fails("session", &message) || (graph && fails("graph", &message))) return failure(message);
  devices().set_device(session->provider.device());
  if (const char* failed = devices().ops.make_stream(&session->kernels)) return failure(failed);
  if (OrtStatus* status = real().CreateSessionFromArray(env, model, bytes, options, out)) {
    devices().ops.destroy_stream(session->kernels);
    return status;
  }
  session->real = *out;
  const Guard lock(state().mutex);
  state().last_settings = session->provider.settings;
  state().sessions[*out] = std::move(session);
  return nullptr;
}

void release_session(OrtSession* session) noexcept {
  real().ReleaseSession(session);
  const Guard lock(state().mutex);
  const auto entry = state().sessions.find(session);
  if (entry == state().sessions.end()) return;
  devices().set_device(entry->second->provider.device());
  devices().ops.destroy_stream(entry->second->kernels);
  state().sessions.erase(entry);
}

OrtStatus* add_run_entry(OrtRunOptions* options, const char* name, const char* value) noexcept {
  const Guard lock(state().mutex);
  state().run_options[options][name] = value;
  return nullptr;
}

void release_run_options(OrtRunOptions* options) noexcept {
  {
    const Guard lock(state().mutex);
    state().run_options.erase(options);
  }
  real().ReleaseRunOptions(options);
}

// The work of a run: the kernels of the network.
void work(void* data) {
  const Run& run = *static_cast<Run*>(data);
  count("runs");
  if (run.elided) return;
  devices().set_device(run.session->provider.device());
  running = run.session;
  OrtStatus* status = real().RunWithBinding(run.session->real, nullptr, run.binding);
  running = nullptr;
  if (!status) return;
  devices().fail(real().GetErrorMessage(status));
  real().ReleaseStatus(status);
}

OrtStatus* run(OrtSession* handle, const OrtRunOptions* options,
               const OrtIoBinding* binding) noexcept {
  Session* session = nullptr;
  Settings entries;
  {
    const Guard lock(state().mutex);
    const auto entry = state().sessions.find(handle);
    if (entry != state().sessions.end()) session = entry->second.get();
    entries = state().run_options[options];
  }
  if (!session) return real().RunWithBinding(handle, options, binding);
  if (session->provider.settings["enable_cuda_graph"] == "1" && entries["gpu_graph_id"] != "-1") {
    return failure("the provider's own CUDA graphs are not emulated");
  }
  const bool wait = entries["disable_synchronize_execution_providers"] != "1";
  std::string message;
  if (fails("run", &message) || (!wait && fails("capture", &message))) return failure(message);
  const bool elided = !wait && fails("elide", &message);
  session->runs.push_back(
      std::make_unique<Run>(Run{session, const_cast<OrtIoBinding*>(binding), elided}));
  void* const stream = session->provider.stream;
  devices().set_device(session->provider.device());
  if (devices().enqueue(stream, work, session->runs.back().get())) {
    return failure(devices().error());
  }
  count("enqueued");
  const char* failed = wait ? devices().ops.synchronize(stream) : nullptr;
  return failed ? failure(failed) : nullptr;
}

const OrtApi* make_table() {
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
  copy->CreateMemoryInfo = create_memory_info;
  copy->ReleaseMemoryInfo = release_memory_info;
  copy->CreateTensorWithDataAsOrtValue = create_tensor;
  copy->CreateSessionFromArray = create_session;
  copy->ReleaseSession = release_session;
  copy->AddRunConfigEntry = add_run_entry;
  copy->ReleaseRunOptions = release_run_options;
  copy->RunWithBinding = run;
  use_operators(copy);
  return copy;
}

const OrtApi* api(uint32_t version) noexcept {
  static const OrtApi* const table = make_table();
  return version <= ORT_API_VERSION ? table : real_base()->GetApi(version);
}

const char* version() noexcept { return real_base()->GetVersionString(); }

}  // namespace
}  // namespace zoo::host_ort

using zoo::host_ort::Guard;
using zoo::host_ort::state;

extern "C" __attribute__((visibility("default"))) const OrtApiBase* OrtGetApiBase() noexcept {
  static const OrtApiBase base{zoo::host_ort::api, zoo::host_ort::version};
  return &base;
}

void host_ort_fail(const char* what, int times, const char* message) {
  const Guard lock(state().mutex);
  state().failures[what] = {times, message};
}

const char* host_ort_option(const char* name) {
  const Guard lock(state().mutex);
  const auto setting = state().last_settings.find(name);
  return setting == state().last_settings.end() ? nullptr : setting->second.c_str();
}

uint64_t host_ort_counter(const char* name) {
  const Guard lock(state().mutex);
  if (std::strcmp(name, "sessions") == 0) return state().sessions.size();
  return state().counts[name];
}

void host_ort_reset() {
  const Guard lock(state().mutex);
  state().counts.clear();
  state().failures.clear();
}
