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

SessionBucket::SessionBucket(const Manifest& manifest, std::shared_ptr<CudaSession> session,
                             const CudaStream& stream, int device, size_t rows, bool draws)
    : CudaBucket(rows, stream),
      manifest_(manifest),
      session_(std::move(session)),
      device_number_(device) {
  lay_out(draws);
  allocate(outputs_begin_);
}

void SessionBucket::lay_out(bool draws) {
  key_ = draws;
  if (key_) {
    const size_t bytes = info(io::kSeed).bytes();
    const size_t seed = take(2 * bytes);
    bound_.push_back({io::kSeed, seed, bytes});
    bound_.push_back({io::kFirst, seed + bytes, bytes});
  }
  const bool latent = draws && std::strcmp(input_name(manifest_), io::kMu) == 0;
  for (const std::string& name : input_names(manifest_, draws)) {
    if (name == io::kSeed || name == io::kFirst || (latent && name == io::kMu)) continue;
    if (name != input_name(manifest_)) copied_.push_back(take_input(name));
  }
  // Last: they may be in the device's memory already.
  if (!latent) copied_.push_back(take_input(input_name(manifest_)));
  copied_end_ = device_bytes();
  if (latent) {
    for (const char* name : {io::kMu, io::kLogvar}) bound_.push_back(take_input(name));
    logvar_ = bound_.back().offset;
    latent_bytes_ = bound_.back().bytes;
    mu_ = copied_end_;
  }
  for (const std::string& name : output_names(manifest_)) take_output(name, info(name).bytes());
}

Ort::IoBinding SessionBucket::bind() const try {
  const Ort::MemoryInfo memory("Cuda", OrtDeviceAllocator, device_number_, OrtMemTypeDefault);
  const auto tensor = [&](const Part& part) {
    const TensorInfo known = info(part.name);
    return Ort::Value::CreateTensor(memory, device_.bytes() + part.offset, part.bytes,
                                    known.shape.data(), known.shape.size(),
                                    ort_element_type(known.type));
  };
  Ort::IoBinding binding(session_->session);
  for (const Part& part : bound_) binding.BindInput(part.name.c_str(), tensor(part));
  for (const Part& part : copied_) binding.BindInput(part.name.c_str(), tensor(part));
  for (const Part& part : outputs_) binding.BindOutput(part.name.c_str(), tensor(part));
  return binding;
} catch (const Ort::Exception& error) {
  throw_run_failure(error);
}

void SessionBucket::put_inputs(const RunArguments& arguments) {
  std::vector<DeviceRows> given;
  const char* const rows_name = input_name(manifest_);
  size_t end = copied_end_;
  for (const Part& part : copied_) {
    const Binding& input = need_input(arguments, part.name);
    const size_t bytes =
        part.name == rows_name ? part.bytes / rows_ * wanted_rows(arguments) : part.bytes;
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
void SessionBucket::put_operands(const RunArguments& arguments) {
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

void SessionBucket::run_session(const Ort::IoBinding& binding, bool wait) {
  Ort::RunOptions options;
  // The provider's own graphs are each thread's, and keep other threads from CUDA while they are
  // made; ours are not.
  options.AddConfigEntry("gpu_graph_id", "-1");
  if (!wait) options.AddConfigEntry("disable_synchronize_execution_providers", "1");
  try {
    session_->session.Run(options, binding);
  } catch (const Ort::Exception& error) {
    throw_run_failure(error);
  }
}

void SessionBucket::run_plainly() {
  // What a node on the CPU reads is copied there when it is bound.
  check_cuda(cuda_ops().synchronize(stream_.get()));
  run_session(bind(), /*wait=*/true);
}

void SessionBucket::capture() {
  captured_ = bind();
  graph_ = capture_graph(stream_, [&] { run_session(captured_, /*wait=*/false); });
}

void SessionBucket::try_on(unsigned char salt, bool plainly) {
  RunArguments arguments;
  arguments.rows = rows_;
  std::vector<std::vector<unsigned char>> given;
  for (const std::vector<Part>& parts : {copied_, bound_}) {
    for (const Part& part : parts) {
      // mu and logvar: the prior.
      if (part.offset >= copied_end_) continue;
      given.push_back(any_input(part.name, info(part.name), manifest_, salt));
      arguments.inputs.push_back({part.name, given.back().data()});
    }
  }
  put_inputs(arguments);
  // Results of a run before are not to be taken for those of this one.
  const size_t bytes = outputs_end_ - outputs_begin_;
  std::memset(out_.get(), 0xff, bytes);
  check_cuda(cuda_ops().copy(device_.bytes() + outputs_begin_, out_.get(), bytes, stream_.get()));
  if (plainly) {
    run_plainly();
  } else {
    check_cuda(cuda_ops().launch(graph_.get(), stream_.get()));
  }
  put_copies_down();
  check_cuda(cuda_ops().synchronize(stream_.get()));
}

std::string SessionBucket::prepare(bool graph) {
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
  const std::vector<unsigned char> expected(out_.bytes(),
                                            out_.bytes() + outputs_end_ - outputs_begin_);
  try_on(1, /*plainly=*/false);
  for (const Part& part : outputs_) {
    const size_t offset = part.offset - outputs_begin_;
    if (std::memcmp(out_.bytes() + offset, expected.data() + offset, part.bytes) == 0) {
      continue;
    }
    graph_ = CudaGraph();
    captured_ = Ort::IoBinding(nullptr);
    return "what the graph gives for '" + part.name + "' is not what the same run gives without it";
  }
  return "";
}

void SessionBucket::enqueue(const RunArguments& arguments) {
  put_inputs(arguments);
  if (graph_.get()) {
    check_cuda(cuda_ops().launch(graph_.get(), stream_.get()));
  } else {
    run_plainly();
  }
  if (wants_outputs(arguments, Memory::kHost)) put_copies_down();
}

}  // namespace zoo
