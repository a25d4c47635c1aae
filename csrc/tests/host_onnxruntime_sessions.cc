// Sessions of the emulated CUDA provider, and their runs.
#include "tests/host_onnxruntime_state.h"

namespace zoo::host_ort {
namespace {

// Working memory for each value of the outputs.
constexpr size_t kWorking = 2;

// Device memory that the session keeps.
OrtStatus* take(Session* session, size_t bytes) {
  void* memory = nullptr;
  bool exhausted = false;
  devices().set_device(session->provider.device());
  const char* failed = devices().ops->allocate(bytes, &memory, &exhausted);
  if (exhausted) {
    return failure("bfc_arena.cc: Failed to allocate memory for requested buffer of size " +
                   std::to_string(bytes));
  }
  if (failed) return failure(failed);
  session->memory.push_back(memory);
  return nullptr;
}

void let_go(Session* session) {
  const CudaOps& ops = *devices().ops;
  devices().set_device(session->provider.device());
  for (void* memory : session->memory) ops.release(memory);
  if (session->kernels) ops.destroy_stream(session->kernels);
}

OrtStatus* create_session(const OrtEnv* env, const void* model, size_t bytes,
                          const OrtSessionOptions* options, OrtSession** made) noexcept {
  auto session = std::make_unique<Session>();
  {
    const Guard lock(state().mutex);
    const auto found = state().appended.find(options);
    if (found == state().appended.end()) {
      return real().CreateSessionFromArray(env, model, bytes, options, made);
    }
    session->provider = found->second;
  }
  std::string message;
  if (told("session", &message)) return failure(message);
  const bool graph = session->provider.settings["enable_cuda_graph"] == "1";
  if (graph && told("graph", &message)) return failure(message);
  OrtStatus* status = take(session.get(), bytes);
  if (!status) {
    const char* failed = devices().ops->make_stream(&session->kernels);
    status =
        failed ? failure(failed) : real().CreateSessionFromArray(env, model, bytes, options, made);
  }
  if (status) {
    let_go(session.get());
    return status;
  }
  session->real = *made;
  const Guard lock(state().mutex);
  state().last_settings = session->provider.settings;
  state().sessions[*made] = std::move(session);
  return nullptr;
}

Session* session_of(const OrtSession* session) {
  const Guard lock(state().mutex);
  const auto found = state().sessions.find(session);
  return found == state().sessions.end() ? nullptr : found->second.get();
}

void release_session(OrtSession* session) noexcept {
  real().ReleaseSession(session);
  std::unique_ptr<Session> mine;
  {
    const Guard lock(state().mutex);
    const auto found = state().sessions.find(session);
    if (found == state().sessions.end()) return;
    mine = std::move(found->second);
    state().sessions.erase(found);
  }
  let_go(mine.get());
}

OrtStatus* bind_output(OrtIoBinding* binding, const char* name, const OrtValue* value) noexcept {
  OrtTensorTypeAndShapeInfo* info = nullptr;
  size_t elements = 0;
  if (OrtStatus* status = real().GetTensorTypeAndShape(value, &info)) return status;
  OrtStatus* status = real().GetTensorShapeElementCount(info, &elements);
  real().ReleaseTensorTypeAndShapeInfo(info);
  if (status) return status;
  {
    const Guard lock(state().mutex);
    state().output_bytes[binding] += elements;
  }
  return real().BindOutput(binding, name, value);
}

void release_binding(OrtIoBinding* binding) noexcept {
  {
    const Guard lock(state().mutex);
    state().output_bytes.erase(binding);
  }
  real().ReleaseIoBinding(binding);
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

// What the network's kernels do, when it is their turn.
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

OrtStatus* run(OrtSession* given, const OrtRunOptions* options,
               const OrtIoBinding* binding) noexcept {
  Session* const session = session_of(given);
  if (!session) return real().RunWithBinding(given, options, binding);
  Settings entries;
  size_t working = 0;
  {
    const Guard lock(state().mutex);
    entries = state().run_options[options];
    working = kWorking * state().output_bytes[binding];
  }
  if (session->provider.settings["enable_cuda_graph"] == "1" && entries["gpu_graph_id"] != "-1") {
    return failure("the provider's own CUDA graphs are not emulated");
  }
  const bool wait = entries["disable_synchronize_execution_providers"] != "1";
  std::string message;
  if (told("run", &message) || (!wait && told("capture", &message))) return failure(message);
  if (working > session->working_bytes) {
    if (OrtStatus* status = take(session, working - session->working_bytes)) return status;
    session->working_bytes = working;
  }
  const bool elided = !wait && told("elide", &message);
  session->runs.push_back(
      std::make_unique<Run>(Run{session, const_cast<OrtIoBinding*>(binding), elided}));
  void* const stream = session->provider.stream;
  devices().set_device(session->provider.device());
  if (devices().enqueue(stream, work, session->runs.back().get())) {
    return failure(devices().error());
  }
  count("enqueued");
  const char* failed = wait ? devices().ops->synchronize(stream) : nullptr;
  return failed ? failure(failed) : nullptr;
}

OrtStatus* kernels_stream(const OrtKernelContext*, void** stream) noexcept {
  if (!running) return failure("no session of the CUDA provider runs here");
  *stream = running->kernels;
  return nullptr;
}

}  // namespace

void use_sessions(OrtApi* table) {
  table->CreateSessionFromArray = create_session;
  table->ReleaseSession = release_session;
  table->BindOutput = bind_output;
  table->ReleaseIoBinding = release_binding;
  table->AddRunConfigEntry = add_run_entry;
  table->ReleaseRunOptions = release_run_options;
  table->RunWithBinding = run;
  table->KernelContext_GetGPUComputeStream = kernels_stream;
}

}  // namespace zoo::host_ort
