#include "backends/onnxruntime/session_bucket.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "zoo/errors.h"

namespace zoo {
namespace {

void fill_floats(unsigned char* memory, size_t bytes, float value) {
  std::fill_n(reinterpret_cast<float*>(memory), bytes / sizeof(float), value);
}

// Creates a valid input, which differs for each salt.
std::vector<unsigned char> make_input(const std::string& name, const TensorInfo& info,
                                      const Manifest& manifest, unsigned char salt) {
  std::vector<unsigned char> bytes(info.bytes());
  if (info.type == TensorType::kUint8) {
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(i * 37 + salt);
  } else if (info.type == TensorType::kFloat32) {
    fill_floats(bytes.data(), bytes.size(), 1.0f / static_cast<float>(1 + salt));
  } else {
    const bool only_zero = name == io::kLabel && manifest.condition_classes <= 1;
    const int64_t value = only_zero ? 0 : salt;
    for (size_t offset = 0; offset < bytes.size(); offset += sizeof value) {
      std::memcpy(bytes.data() + offset, &value, sizeof value);
    }
  }
  return bytes;
}

}  // namespace

SessionBucket::SessionBucket(const Manifest& manifest, std::shared_ptr<CudaSession> session,
                             const CudaStream& stream, int device, size_t rows, GraphNoise noise)
    : CudaBucket(rows, stream),
      manifest_(manifest),
      session_(std::move(session)),
      device_number_(device),
      noise_(noise),
      keys_(noise.row_keys ? rows : 1) {
  lay_out();
  allocate(outputs_begin_);
}

void SessionBucket::lay_out() {
  const bool draws = noise_.draws;
  if (draws) {
    const size_t bytes = info(io::kSeed).bytes();
    const size_t seed = reserve(2 * bytes);
    bound_.push_back({io::kSeed, seed, bytes});
    bound_.push_back({io::kFirst, seed + bytes, bytes});
  }
  const bool latent = draws && std::strcmp(input_name(manifest_), io::kMu) == 0;
  for (const std::string& name : input_names(manifest_, draws)) {
    if (name == io::kSeed || name == io::kFirst || (latent && name == io::kMu)) continue;
    if (name != input_name(manifest_)) copied_.push_back(reserve_input(name));
  }
  // The main input is last, because the caller may have it in device memory.
  if (!latent) copied_.push_back(reserve_input(input_name(manifest_)));
  copied_end_ = device_bytes();
  if (latent) {
    for (const char* name : {io::kMu, io::kLogvar}) bound_.push_back(reserve_input(name));
    logvar_ = bound_.back().offset;
    latent_bytes_ = bound_.back().bytes;
    mu_ = copied_end_;
  }
  for (const std::string& name : output_names(manifest_)) reserve_output(name, info(name).bytes());
}

Ort::IoBinding SessionBucket::bind() const try {
  const Ort::MemoryInfo memory("Cuda", OrtDeviceAllocator, device_number_, OrtMemTypeDefault);
  const auto tensor = [&](const Part& part) {
    const TensorInfo tensor_info = info(part.name);
    return Ort::Value::CreateTensor(memory, device_.bytes() + part.offset, part.bytes,
                                    tensor_info.shape.data(), tensor_info.shape.size(),
                                    ort_element_type(tensor_info.type));
  };
  Ort::IoBinding binding(session_->session);
  for (const Part& part : bound_) binding.BindInput(part.name.c_str(), tensor(part));
  for (const Part& part : copied_) binding.BindInput(part.name.c_str(), tensor(part));
  for (const Part& part : outputs_) binding.BindOutput(part.name.c_str(), tensor(part));
  return binding;
} catch (const Ort::Exception& error) {
  throw_run_failure(error);
}

void SessionBucket::enqueue_inputs(const RunArguments& arguments) {
  std::vector<DeviceRows> device_rows;
  size_t end = copied_end_;
  for (const Part& part : copied_) {
    const Binding& input = require_input(arguments, part.name);
    const bool is_main = part.name == input_name(manifest_);
    const size_t bytes = is_main ? part.bytes / rows_ * used_rows(arguments) : part.bytes;
    if (input.memory == Memory::kHost) {
      std::memcpy(in_.bytes() + part.offset, input.data, bytes);
    } else {
      // Only the main input, which is the last part.
      device_rows.push_back({part.offset, input.data, bytes});
      end = part.offset;
    }
  }
  if (noise_.draws) stage_keys(arguments, keys_);
  if (end != 0) check_cuda(cuda_ops().copy(device_.get(), in_.get(), end, stream_.get()));
  enqueue_copies(device_rows, device_.bytes(), stream_);
  enqueue_operands(arguments);
}

// mu and logvar are operands of the noise operator in the graph. The prior is mu = 0, logvar = 0; a
// log-variance of -infinity passes a latent through unchanged.
void SessionBucket::enqueue_operands(const RunArguments& arguments) {
  if (latent_bytes_ == 0) return;
  const Binding* latent = find_binding(arguments.inputs, io::kLatent);
  const Binding* mu = latent ? latent : find_binding(arguments.inputs, io::kMu);
  const Operands operands =
      latent ? Operands::kLatent : (mu ? Operands::kPosterior : Operands::kPrior);
  if (operands == Operands::kPrior && loaded_ == operands) return;
  const bool copy_logvar = operands == Operands::kPosterior || loaded_ != operands;
  // If a copy fails, the contents are unknown.
  loaded_ = Operands::kUnknown;
  const auto copy = [&](size_t offset, const void* from, size_t bytes) {
    check_cuda(cuda_ops().copy(device_.bytes() + offset, from, bytes, stream_.get()));
  };
  const auto enqueue_operand = [&](size_t offset, const Binding* operand, float fill) {
    const size_t bytes = latent_bytes_ / rows_ * used_rows(arguments);
    if (operand && operand->memory == Memory::kDevice) {
      copy(offset, operand->data, bytes);
      return;
    }
    if (operand) {
      std::memcpy(in_.bytes() + offset, operand->data, bytes);
    } else {
      fill_floats(in_.bytes() + offset, latent_bytes_, fill);
    }
    copy(offset, in_.bytes() + offset, latent_bytes_);
  };
  enqueue_operand(mu_, mu, 0.0f);
  if (copy_logvar) {
    const Binding* logvar =
        operands == Operands::kPosterior ? &require_input(arguments, io::kLogvar) : nullptr;
    enqueue_operand(logvar_, logvar, latent ? -std::numeric_limits<float>::infinity() : 0.0f);
  }
  loaded_ = operands;
}

void SessionBucket::run_session(const Ort::IoBinding& binding, bool wait) {
  Ort::RunOptions options;
  // Turns off the provider's own CUDA graphs, which belong to a thread and block the CUDA calls of
  // other threads during a capture.
  options.AddConfigEntry("gpu_graph_id", "-1");
  if (!wait) options.AddConfigEntry("disable_synchronize_execution_providers", "1");
  try {
    session_->session.Run(options, binding);
  } catch (const Ort::Exception& error) {
    throw_run_failure(error);
  }
}

void SessionBucket::run_without_graph() {
  // Binding copies the inputs of CPU nodes to the host, so they must have arrived.
  check_cuda(cuda_ops().synchronize(stream_.get()));
  run_session(bind(), /*wait=*/true);
}

void SessionBucket::run_trial(unsigned char salt, bool with_graph) {
  RunArguments arguments;
  arguments.rows = rows_;
  std::vector<std::vector<unsigned char>> inputs;
  for (const std::vector<Part>& parts : {copied_, bound_}) {
    for (const Part& part : parts) {
      // Without mu and logvar, the latent comes from the prior.
      if (part.offset >= copied_end_) continue;
      inputs.push_back(make_input(part.name, info(part.name), manifest_, salt));
      arguments.inputs.push_back({part.name, inputs.back().data()});
    }
  }
  enqueue_inputs(arguments);
  // Overwrites the results of the previous run, so that they cannot pass for those of this one.
  const size_t bytes = outputs_end_ - outputs_begin_;
  std::memset(out_.get(), 0xff, bytes);
  check_cuda(cuda_ops().copy(device_.bytes() + outputs_begin_, out_.get(), bytes, stream_.get()));
  if (with_graph) {
    check_cuda(cuda_ops().launch(graph_.get(), stream_.get()));
  } else {
    run_without_graph();
  }
  enqueue_download();
  check_cuda(cuda_ops().synchronize(stream_.get()));
}

std::string SessionBucket::prepare(bool graph) {
  run_trial(0, /*with_graph=*/false);
  if (!graph) return "";
  // A second time, because memory may be allocated differently after the first run.
  run_trial(0, /*with_graph=*/false);
  try {
    captured_ = bind();
    graph_ = capture_graph(stream_, [&] { run_session(captured_, /*wait=*/false); });
  } catch (const OutOfMemoryError&) {
    throw;
  } catch (const ExecutionError& error) {
    return error.what();
  }
  // A replay does not repeat what the CPU did during the capture, and may copy from host memory
  // that has been reused. A run without the graph, on other inputs, reveals this.
  run_trial(1, /*with_graph=*/false);
  const std::vector<unsigned char> expected(out_.bytes(),
                                            out_.bytes() + outputs_end_ - outputs_begin_);
  run_trial(1, /*with_graph=*/true);
  for (const Part& part : outputs_) {
    const size_t offset = part.offset - outputs_begin_;
    if (std::memcmp(out_.bytes() + offset, expected.data() + offset, part.bytes) == 0) {
      continue;
    }
    graph_ = CudaGraph();
    captured_ = Ort::IoBinding(nullptr);
    return "the output '" + part.name + "' of the graph differs from that of a run without it";
  }
  return "";
}

void SessionBucket::enqueue(const RunArguments& arguments) {
  enqueue_inputs(arguments);
  if (graph_.get()) {
    check_cuda(cuda_ops().launch(graph_.get(), stream_.get()));
  } else {
    run_without_graph();
  }
  if (has_outputs_in(arguments, Memory::kHost)) enqueue_download();
}

}  // namespace zoo
