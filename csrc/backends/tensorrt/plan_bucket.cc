#include "backends/tensorrt/plan_bucket.h"

#include <algorithm>
#include <cstring>

#include "format/tensors.h"
#include "zoo/errors.h"

namespace zoo {
PlanBucket::PlanBucket(const Manifest& manifest, PlanEngine* engine, size_t profile, size_t rows,
                       const CudaStream& stream)
    : CudaBucket(rows, stream),
      manifest_(manifest),
      context_(engine->context(profile, rows, stream.get())) {
  lay_out_inputs();
  for (const PlanTensor& output : manifest.plan.outputs) {
    reserve_output(output.name, output.bytes(rows));
  }
  const size_t scratch_bytes = context_->scratch_bytes();
  const size_t scratch = reserve(scratch_bytes);
  allocate(operands_end_);
  std::vector<Binding> tensors;
  const auto bind = [&](const std::string& name, size_t offset) {
    tensors.push_back({name, device_.bytes() + offset});
  };
  for (const Part& part : copied_) bind(part.name, part.offset);
  if (latent_bytes_ == 0) {
    for (const Part& part : operands_) bind(part.name, part.offset);
  }
  for (const Part& part : outputs_) bind(part.name, part.offset);
  for (const NoiseInput& layer : layers_) bind(io::layer_noise(layer.stream), layer.offset);
  if (latent_bytes_ != 0) bind(io::kLatent, latent_);
  context_->bind(tensors, device_.bytes() + scratch, scratch_bytes);
}

void PlanBucket::lay_out_inputs() {
  std::vector<PlanTensor> copied;
  std::vector<PlanTensor> operands;
  for (const PlanTensor& input : manifest_.plan.inputs) {
    const auto& layers = manifest_.layer_noise;
    const auto layer = std::find_if(layers.begin(), layers.end(), [&](const LayerNoise& other) {
      return input.name == io::layer_noise(other.stream);
    });
    if (layer != layers.end()) {
      layers_.push_back({layer->stream, layer->width, 0});
    } else if (input.name == io::kLatent && takes_latents(manifest_)) {
      latent_bytes_ = input.bytes(rows_);
    } else if (input.name == input_name(manifest_)) {
      operands.push_back(input);
    } else {
      copied.push_back(input);
    }
  }
  has_key_ = has_trait(manifest_, kDrawsLatent) || !layers_.empty();
  if (has_key_) reserve(2 * rows_ * sizeof(uint64_t));
  for (const PlanTensor& input : copied) {
    copied_.push_back(reserve_tensor(input.name, input.bytes(rows_)));
  }
  copied_end_ = device_bytes();
  for (const PlanTensor& input : operands) {
    operands_.push_back(reserve_tensor(input.name, input.bytes(rows_)));
  }
  if (latent_bytes_ != 0) {
    operands_.push_back(reserve_tensor(io::kMu, latent_bytes_));
    operands_.push_back(reserve_tensor(io::kLogvar, latent_bytes_));
  }
  operands_end_ = device_bytes();
  latent_ = reserve(latent_bytes_);
  for (NoiseInput& layer : layers_) layer.offset = reserve(rows_ * layer.width * sizeof(float));
}

PlanBucket::Latent PlanBucket::stage_inputs(const RunArguments& arguments,
                                            std::vector<DeviceRows>* device_rows) {
  const auto stage = [&](size_t offset, const Binding& binding, size_t bytes) {
    if (binding.memory == Memory::kDevice) {
      device_rows->push_back({offset, binding.data, bytes});
    } else {
      std::memcpy(in_.bytes() + offset, binding.data, bytes);
    }
  };
  if (has_key_) stage_keys(arguments, rows_);
  for (const Part& part : copied_) {
    stage(part.offset, require_input(arguments, part.name), part.bytes);
  }
  const auto stage_operand = [&](const Part& part, const std::string& name) {
    stage(part.offset, require_input(arguments, name), part.bytes / rows_ * used_rows(arguments));
  };
  if (latent_bytes_ == 0) {
    for (const Part& part : operands_) stage_operand(part, part.name);
    return Latent::kNone;
  }
  if (find_binding(arguments.inputs, io::kLatent)) {
    stage_operand(operands_[0], io::kLatent);
    return Latent::kInput;
  }
  if (!find_binding(arguments.inputs, io::kMu)) return Latent::kPrior;
  for (const Part& part : operands_) stage_operand(part, part.name);
  return Latent::kPosterior;
}

void PlanBucket::enqueue_work(const Work& work) {
  const CudaOps& ops = cuda_ops();
  unsigned char* const device = device_.bytes();
  void* const stream = stream_.get();
  const auto* key = reinterpret_cast<const uint64_t*>(device);
  const auto draw = [&](const float* mu, const float* logvar, uint32_t noise_stream, size_t width,
                        size_t offset) {
    check_cuda(ops.reparametrized_sample(mu, logvar, {key, key + rows_, true, noise_stream}, rows_,
                                         width, Real::kFloat32, device + offset, stream));
  };
  const auto copy = [&](void* to, const void* from, size_t bytes) {
    if (bytes != 0) check_cuda(ops.copy(to, from, bytes, stream));
  };
  const auto operand = [&](size_t index) { return device + operands_[index].offset; };
  size_t upload_bytes = copied_end_;
  if (work.upload) {
    upload_bytes = work.latent == Latent::kInput ? operands_[1].offset : operands_end_;
  }
  copy(device, in_.get(), upload_bytes);
  if (work.latent == Latent::kInput) {
    copy(device + latent_, operand(0), latent_bytes_);
  } else if (work.latent == Latent::kPosterior) {
    draw(reinterpret_cast<const float*>(operand(0)), reinterpret_cast<const float*>(operand(1)),
         manifest_.latent_stream, manifest_.latent_width, latent_);
  } else if (work.latent == Latent::kPrior) {
    draw(nullptr, nullptr, manifest_.latent_stream, manifest_.latent_width, latent_);
  }
  for (const NoiseInput& layer : layers_) {
    draw(nullptr, nullptr, layer.stream, layer.width, layer.offset);
  }
  context_->enqueue(stream);
  if (work.download) enqueue_download();
}

const CudaGraph& PlanBucket::find_graph(const Work& work) {
  const auto known = graphs_.find(work);
  if (known != graphs_.end()) return known->second;
  // Kernels are loaded at their first run, which may not be possible during a capture.
  enqueue_work(work);
  check_cuda(cuda_ops().synchronize(stream_.get()));
  return graphs_.emplace(work, capture_graph(stream_, [&] { enqueue_work(work); })).first->second;
}

void PlanBucket::enqueue(const RunArguments& arguments) {
  std::vector<DeviceRows> device_rows;
  Work work{stage_inputs(arguments, &device_rows), false, false};
  work.upload = device_rows.empty() && work.latent != Latent::kPrior;
  work.download = has_outputs_in(arguments, Memory::kHost);
  const CudaGraph& graph = find_graph(work);
  enqueue_copies(device_rows, device_.bytes(), stream_);
  check_cuda(cuda_ops().launch(graph.get(), stream_.get()));
}

}  // namespace zoo
