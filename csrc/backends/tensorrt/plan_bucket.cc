#include "backends/tensorrt/plan_bucket.h"

#include <algorithm>
#include <cstring>

#include "zoo/errors.h"

namespace zoo {
namespace {

// What TensorRT asks of every tensor's address.
constexpr size_t kAlignment = 256;

constexpr size_t kKeyBytes = 2 * sizeof(uint64_t);

const void* data_of(const std::vector<Binding>& bindings, const std::string& name) {
  for (const Binding& binding : bindings) {
    if (binding.name == name) return binding.data;
  }
  return nullptr;
}

}  // namespace

PlanBucket::PlanBucket(const Manifest& manifest, PlanEngine* engine, size_t profile, size_t rows,
                       const CudaStream& stream)
    : manifest_(manifest),
      rows_(rows),
      stream_(stream),
      context_(engine->context(profile, rows, stream.get())) {
  lay_out_inputs();
  outputs_begin_ = end_;
  for (const PlanTensor& output : manifest.plan.outputs) {
    outputs_.push_back(take_tensor(output.name, output.bytes(rows)));
  }
  outputs_end_ = end_;
  const size_t scratch_bytes = context_->scratch_bytes();
  const size_t scratch = take(scratch_bytes);
  device_ = allocate_device_memory(end_);
  in_ = allocate_pinned_memory(std::max(posterior_end_, size_t{1}));
  out_ = allocate_pinned_memory(outputs_end_ - outputs_begin_);
  std::vector<Binding> tensors;
  const auto bind = [&](const std::string& name, size_t offset) {
    tensors.push_back({name, device_.bytes() + offset});
  };
  for (const Part& part : copied_) bind(part.name, part.offset);
  for (const Part& part : outputs_) bind(part.name, part.offset);
  for (const Drawn& layer : layers_) bind(io::layer_noise(layer.stream), layer.offset);
  if (latent_bytes_ != 0) bind(io::kLatent, latent_);
  context_->bind(tensors, device_.bytes() + scratch, scratch_bytes);
}

size_t PlanBucket::take(size_t bytes) {
  const size_t begin = end_;
  end_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return begin;
}

PlanBucket::Part PlanBucket::take_tensor(const std::string& name, size_t bytes) {
  return {name, take(bytes), bytes};
}

void PlanBucket::lay_out_inputs() {
  std::vector<PlanTensor> copied;
  for (const PlanTensor& input : manifest_.plan.inputs) {
    const auto drawn = [&](const LayerNoise& layer) {
      return input.name == io::layer_noise(layer.stream);
    };
    const auto& layers = manifest_.layer_noise;
    if (const auto layer = std::find_if(layers.begin(), layers.end(), drawn);
        layer != layers.end()) {
      layers_.push_back({layer->stream, layer->width, 0});
    } else if (input.name == io::kLatent && manifest_.role == "generator") {
      latent_bytes_ = input.bytes(rows_);
    } else {
      copied.push_back(input);
    }
  }
  if (latent_bytes_ != 0 || !layers_.empty()) take(kKeyBytes);
  for (const PlanTensor& input : copied) {
    copied_.push_back(take_tensor(input.name, input.bytes(rows_)));
  }
  copied_end_ = end_;
  mu_ = take(latent_bytes_);
  logvar_ = take(latent_bytes_);
  posterior_end_ = end_;
  latent_ = take(latent_bytes_);
  for (Drawn& layer : layers_) layer.offset = take(rows_ * layer.width * sizeof(float));
}

PlanBucket::Latent PlanBucket::fill(const RunArguments& arguments) {
  const auto put = [&](size_t offset, const std::string& name, size_t bytes) {
    const void* data = data_of(arguments.inputs, name);
    if (!data) throw ExecutionError("the plan's input '" + name + "' was not given");
    std::memcpy(in_.bytes() + offset, data, bytes);
  };
  if (latent_bytes_ != 0 || !layers_.empty()) {
    put(0, io::kSeed, sizeof(uint64_t));
    put(sizeof(uint64_t), io::kFirst, sizeof(uint64_t));
  }
  for (const Part& part : copied_) put(part.offset, part.name, part.bytes);
  if (latent_bytes_ == 0) return Latent::kCopied;
  if (data_of(arguments.inputs, io::kLatent)) {
    put(mu_, io::kLatent, latent_bytes_);
    return Latent::kGiven;
  }
  if (!data_of(arguments.inputs, io::kMu)) return Latent::kPrior;
  put(mu_, io::kMu, latent_bytes_);
  put(logvar_, io::kLogvar, latent_bytes_);
  return Latent::kPosterior;
}

void PlanBucket::put_work(Latent latent) {
  const CudaOps& ops = cuda_ops();
  unsigned char* const device = device_.bytes();
  void* const stream = stream_.get();
  const auto* key = reinterpret_cast<const uint64_t*>(device);
  const auto draw = [&](const float* mu, const float* logvar, uint32_t noise_stream, size_t width,
                        size_t offset) {
    check_cuda(ops.reparametrized_sample(mu, logvar, key, key + 1, noise_stream, rows_, width,
                                         Real::kFloat32, device + offset, stream));
  };
  const size_t up = latent == Latent::kPosterior ? posterior_end_ : copied_end_;
  if (up != 0) check_cuda(ops.copy(device, in_.get(), up, stream));
  if (latent == Latent::kGiven) {
    check_cuda(ops.copy(device + latent_, in_.bytes() + mu_, latent_bytes_, stream));
  } else if (latent != Latent::kCopied) {
    const bool prior = latent == Latent::kPrior;
    draw(prior ? nullptr : reinterpret_cast<const float*>(device + mu_),
         prior ? nullptr : reinterpret_cast<const float*>(device + logvar_),
         manifest_.latent_stream, manifest_.latent_width, latent_);
  }
  for (const Drawn& layer : layers_)
    draw(nullptr, nullptr, layer.stream, layer.width, layer.offset);
  context_->enqueue(stream);
  check_cuda(ops.copy(out_.get(), device + outputs_begin_, outputs_end_ - outputs_begin_, stream));
}

const CudaGraph& PlanBucket::graph(Latent latent) {
  const auto found = graphs_.find(latent);
  if (found != graphs_.end()) return found->second;
  if (graphs_.empty()) {
    // Kernels are loaded when they first run, which a stream under capture does not allow.
    put_work(latent);
    check_cuda(cuda_ops().synchronize(stream_.get()));
  }
  return graphs_.emplace(latent, capture_graph(stream_, [&] { put_work(latent); })).first->second;
}

void PlanBucket::run(const RunArguments& arguments) {
  const CudaOps& ops = cuda_ops();
  const CudaGraph& work = graph(fill(arguments));
  check_cuda(ops.launch(work.get(), stream_.get()));
  check_cuda(ops.synchronize(stream_.get()));
  for (const Part& part : outputs_) {
    for (const Binding& output : arguments.outputs) {
      if (output.name != part.name) continue;
      std::memcpy(output.data, out_.bytes() + part.offset - outputs_begin_, part.bytes);
    }
  }
}

}  // namespace zoo
