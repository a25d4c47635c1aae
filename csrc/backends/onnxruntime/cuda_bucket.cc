#include "backends/onnxruntime/cuda_bucket.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "backends/onnxruntime/cuda_session.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

void fill_floats(unsigned char* memory, size_t bytes, float value) {
  std::fill_n(reinterpret_cast<float*>(memory), bytes / sizeof(float), value);
}

// Some valid input: other ones for another salt.
std::vector<unsigned char> any_input(const std::string& name, const TensorInfo& info,
                                     const Manifest& manifest, unsigned char salt) {
  std::vector<unsigned char> bytes(info.bytes());
  if (info.type == TensorType::kUint8) {
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(i * 37 + salt);
  } else if (info.type == TensorType::kFloat32) {
    fill_floats(bytes.data(), bytes.size(), 1.0f / static_cast<float>(1 + salt));
  } else {
    const bool one = name != io::kLabel || manifest.condition_classes > 1;
    const int64_t value = one ? salt : 0;
    for (size_t at = 0; at < bytes.size(); at += sizeof value) {
      std::memcpy(bytes.data() + at, &value, sizeof value);
    }
  }
  return bytes;
}

}  // namespace

CudaBucket::CudaBucket(const Manifest& manifest, Ort::Session* session, const CudaStream& stream,
                       int device, size_t rows, bool draws)
    : manifest_(manifest), session_(session), stream_(stream), device_number_(device), rows_(rows) {
  lay_out(draws);
  device_ = allocate_device_memory(end_);
  in_ = allocate_pinned_memory(inputs_end_);
  out_ = allocate_pinned_memory(end_ - inputs_end_);
}

size_t CudaBucket::take(size_t bytes) {
  const size_t begin = end_;
  end_ += device_aligned(bytes);
  return begin;
}

CudaBucket::Part CudaBucket::take_tensor(const std::string& name) {
  const TensorInfo info = tensor_info(name, manifest_, rows_);
  return {name, take(info.bytes()), info};
}

void CudaBucket::lay_out(bool draws) {
  key_ = draws;
  if (key_) {
    const TensorInfo scalar = tensor_info(io::kSeed, manifest_, rows_);
    const size_t seed = take(2 * scalar.bytes());
    bound_.push_back({io::kSeed, seed, scalar});
    bound_.push_back({io::kFirst, seed + scalar.bytes(), scalar});
  }
  const bool latent = draws && std::strcmp(input_name(manifest_), io::kMu) == 0;
  for (const std::string& name : input_names(manifest_, draws)) {
    if (name == io::kSeed || name == io::kFirst || (latent && name == io::kMu)) continue;
    if (name != input_name(manifest_)) copied_.push_back(take_tensor(name));
  }
  // Last: they may be in the device's memory already.
  if (!latent) copied_.push_back(take_tensor(input_name(manifest_)));
  copied_end_ = end_;
  if (latent) {
    for (const char* name : {io::kMu, io::kLogvar}) bound_.push_back(take_tensor(name));
    logvar_ = bound_.back().offset;
    latent_bytes_ = bound_.back().info.bytes();
    mu_ = copied_end_;
  }
  inputs_end_ = end_;
  for (const std::string& name : output_names(manifest_)) outputs_.push_back(take_tensor(name));
}

Ort::IoBinding CudaBucket::bind() const try {
  const Ort::MemoryInfo memory("Cuda", OrtDeviceAllocator, device_number_, OrtMemTypeDefault);
  const auto tensor = [&](const Part& part) {
    return Ort::Value::CreateTensor(memory, device_.bytes() + part.offset, part.bytes(),
                                    part.info.shape.data(), part.info.shape.size(),
                                    ort_element_type(part.info.type));
  };
  Ort::IoBinding binding(*session_);
  for (const Part& part : bound_) binding.BindInput(part.name.c_str(), tensor(part));
  for (const Part& part : copied_) binding.BindInput(part.name.c_str(), tensor(part));
  for (const Part& part : outputs_) binding.BindOutput(part.name.c_str(), tensor(part));
  return binding;
} catch (const Ort::Exception& error) {
  throw_run_failure(error);
}

void CudaBucket::put_inputs(const RunArguments& arguments) {
  std::vector<DeviceRows> given;
  const char* const rows_name = input_name(manifest_);
  size_t end = copied_end_;
  for (const Part& part : copied_) {
    const Binding& input = need_input(arguments, part.name);
    const size_t bytes =
        part.name == rows_name ? part.bytes() / rows_ * wanted_rows(arguments) : part.bytes();
    if (input.memory == Memory::kHost) {
      std::memcpy(in_.bytes() + part.offset, input.data, bytes);
    } else {
      given.push_back({part.offset, input.data, bytes});
      // They are the last.
      end = part.offset;
    }
  }
  if (key_) {
    const auto put = [&](const char* name, size_t offset) {
      std::memcpy(in_.bytes() + offset, need_input(arguments, name).data, sizeof(uint64_t));
    };
    put(io::kSeed, 0);
    put(io::kFirst, sizeof(uint64_t));
  }
  if (end != 0) check_cuda(cuda_ops().copy(device_.get(), in_.get(), end, stream_.get()));
  put_rows(given, device_.bytes(), stream_);
  put_operands(arguments);
}

// mu and logvar are operands of the graph's own noise operator. The prior is mu = 0, logvar = 0; a
// log-variance of -infinity lets a given latent through unchanged.
void CudaBucket::put_operands(const RunArguments& arguments) {
  if (latent_bytes_ == 0) return;
  const Binding* given = find_binding(arguments.inputs, io::kLatent);
  const Binding* mu = given ? given : find_binding(arguments.inputs, io::kMu);
  const Operands wanted = given ? Operands::kGiven : (mu ? Operands::kPosterior : Operands::kPrior);
  if (wanted == Operands::kPrior && held_ == wanted) return;
  const bool again = wanted == Operands::kPosterior || held_ != wanted;
  // Should a copy fail, none of it is taken to be there.
  held_ = Operands::kUnknown;
  const auto copy = [&](size_t offset, const void* from, size_t bytes) {
    check_cuda(cuda_ops().copy(device_.bytes() + offset, from, bytes, stream_.get()));
  };
  const auto put = [&](size_t offset, const Binding* operand, float otherwise) {
    const size_t bytes = latent_bytes_ / rows_ * wanted_rows(arguments);
    if (operand && operand->memory == Memory::kDevice) {
      copy(offset, operand->data, bytes);
      return;
    }
    if (operand) {
      std::memcpy(in_.bytes() + offset, operand->data, bytes);
    } else {
      fill_floats(in_.bytes() + offset, latent_bytes_, otherwise);
    }
    copy(offset, in_.bytes() + offset, latent_bytes_);
  };
  put(mu_, mu, 0.0f);
  if (again) {
    const Binding* logvar =
        wanted == Operands::kPosterior ? &need_input(arguments, io::kLogvar) : nullptr;
    put(logvar_, logvar, given ? -std::numeric_limits<float>::infinity() : 0.0f);
  }
  held_ = wanted;
}

void CudaBucket::put_copies_down() {
  check_cuda(cuda_ops().copy(out_.get(), device_.bytes() + inputs_end_, end_ - inputs_end_,
                             stream_.get()));
}

void CudaBucket::run_session(const Ort::IoBinding& binding, bool wait) {
  Ort::RunOptions options;
  // The provider's own graphs are each thread's, and keep other threads from CUDA while they are
  // made; ours are not.
  options.AddConfigEntry("gpu_graph_id", "-1");
  if (!wait) options.AddConfigEntry("disable_synchronize_execution_providers", "1");
  try {
    session_->Run(options, binding);
  } catch (const Ort::Exception& error) {
    throw_run_failure(error);
  }
}

void CudaBucket::run_plainly() {
  // What a node on the CPU reads is copied there when it is bound.
  check_cuda(cuda_ops().synchronize(stream_.get()));
  run_session(bind(), /*wait=*/true);
}

void CudaBucket::capture() {
  captured_ = bind();
  graph_ = capture_graph(stream_, [&] { run_session(captured_, /*wait=*/false); });
}

void CudaBucket::try_on(unsigned char salt, bool plainly) {
  RunArguments arguments;
  arguments.rows = rows_;
  std::vector<std::vector<unsigned char>> given;
  for (const std::vector<Part>& parts : {copied_, bound_}) {
    for (const Part& part : parts) {
      // mu and logvar: the prior.
      if (part.offset >= copied_end_) continue;
      given.push_back(any_input(part.name, part.info, manifest_, salt));
      arguments.inputs.push_back({part.name, given.back().data()});
    }
  }
  put_inputs(arguments);
  // Results of a run before are not to be taken for those of this one.
  std::memset(out_.get(), 0xff, end_ - inputs_end_);
  check_cuda(cuda_ops().copy(device_.bytes() + inputs_end_, out_.get(), end_ - inputs_end_,
                             stream_.get()));
  if (plainly) {
    run_plainly();
  } else {
    check_cuda(cuda_ops().launch(graph_.get(), stream_.get()));
  }
  put_copies_down();
  check_cuda(cuda_ops().synchronize(stream_.get()));
}

std::string CudaBucket::prepare(bool graph) {
  try_on(0, /*plainly=*/true);
  if (!graph) return "";
  // Once more: with what the first run has left, memory may be dealt out in another way.
  try_on(0, /*plainly=*/true);
  try {
    capture();
  } catch (const OutOfMemoryError&) {
    throw;
  } catch (const ExecutionError& error) {
    return error.what();
  }
  // What the CPU did while the graph was made is not done again when it is replayed, and host
  // memory that it copies from may have other uses by then: the same run without it says so.
  try_on(1, /*plainly=*/true);
  const std::vector<unsigned char> expected(out_.bytes(), out_.bytes() + end_ - inputs_end_);
  try_on(1, /*plainly=*/false);
  for (const Part& part : outputs_) {
    const size_t offset = part.offset - inputs_end_;
    if (std::memcmp(out_.bytes() + offset, expected.data() + offset, part.bytes()) == 0) {
      continue;
    }
    graph_ = CudaGraph();
    captured_ = Ort::IoBinding(nullptr);
    return "what the graph gives for '" + part.name + "' is not what the same run gives without it";
  }
  return "";
}

void CudaBucket::run(const RunArguments& arguments) {
  const CudaOps& ops = cuda_ops();
  const Finished finished(stream_);
  put_inputs(arguments);
  if (graph_.get()) {
    check_cuda(ops.launch(graph_.get(), stream_.get()));
  } else {
    run_plainly();
  }
  if (wants_outputs(arguments, Memory::kHost)) put_copies_down();
  each_output(arguments, outputs_, Memory::kDevice, [&](void* to, size_t offset, size_t bytes) {
    check_cuda(ops.copy(to, device_.bytes() + offset, bytes, stream_.get()));
  });
  check_cuda(ops.synchronize(stream_.get()));
  each_output(arguments, outputs_, Memory::kHost, [&](void* to, size_t offset, size_t bytes) {
    std::memcpy(to, out_.bytes() + offset - inputs_end_, bytes);
  });
}

}  // namespace zoo
