#include "backends/openvino/graph.h"

#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <openvino/frontend/onnx/extension/conversion.hpp>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "backends/openvino/transposed_convolutions.h"
#include "base/fork.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

// Lists inputs or outputs as inferred by OpenVINO. A port may have several names; one of
// `expected` is preferred.
std::vector<GraphTensor> list_tensors(const std::vector<ov::Output<ov::Node>>& ports,
                                      const std::vector<std::string>& expected,
                                      const Manifest& manifest) {
  std::vector<GraphTensor> tensors;
  for (const auto& port : ports) {
    const auto& names = port.get_names();
    GraphTensor tensor;
    for (const std::string& name : names) {
      const bool known = std::find(expected.begin(), expected.end(), name) != expected.end();
      if (known || tensor.name.empty()) tensor.name = name;
      if (known) break;
    }
    for (const TensorType type : {TensorType::kFloat32, TensorType::kUint8, TensorType::kInt64}) {
      if (port.get_element_type() == element_type(type)) tensor.type = type;
    }
    const ov::PartialShape& shape = port.get_partial_shape();
    if (shape.rank().is_static()) {
      for (const ov::Dimension& length : shape) {
        tensor.shape.push_back(length.is_static() ? length.get_length() : -1);
      }
    } else {
      tensor.shape.assign(tensor_info(tensor.name, manifest, 1).shape.size(), -1);
    }
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

// Placeholder of the noise operator until add_noise_inputs replaces it by an input: the CPU plugin
// does not support the 64-bit integers of the operator's portable body.
class NoiseNode : public ov::op::Op {
 public:
  OPENVINO_OP("NoiseNode", "zoo")

  NoiseNode(const ov::Output<ov::Node>& mu, uint32_t stream) : Op({mu}), stream_(stream) {
    constructor_validate_and_infer_types();
  }

  void validate_and_infer_types() override {
    set_output_type(0, ov::element::f32, get_input_partial_shape(0));
  }

  std::shared_ptr<ov::Node> clone_with_new_inputs(const ov::OutputVector& inputs) const override {
    return std::make_shared<NoiseNode>(inputs.at(0), stream_);
  }

  uint32_t stream() const { return stream_; }

 private:
  const uint32_t stream_;
};

std::shared_ptr<ov::Extension> noise_extension() {
  return std::make_shared<ov::frontend::onnx::ConversionExtension>(
      "ReparametrizedSample", "zoo", [](const ov::frontend::NodeContext& node) -> ov::OutputVector {
        const auto stream = static_cast<uint32_t>(node.get_attribute<int64_t>("stream", 0));
        return std::make_shared<NoiseNode>(node.get_input(0), stream)->outputs();
      });
}

// Ends the threads that OpenVINO keeps from destroyed models for the next one: a forked child would
// wait for threads that it does not have. OpenVINO has no function for this, but destroying any CPU
// plugin does it. Done in another thread, since the plugin changes the signal stack of its thread.
void end_idle_threads() {
  try {
    std::thread([] {
      try {
        ov::Core().get_property("CPU", ov::device::capabilities);
      } catch (const std::exception&) {
      }
    }).join();
  } catch (const std::system_error&) {
  }
}

[[noreturn]] void fail_stream(const std::string& path, uint32_t stream, const std::string& why) {
  throw EngineFileError("engine file '" + path + "': its graph draws noise stream " +
                        std::to_string(stream) + why);
}

// Replaces the noise operators by inputs: that of the latent by its first operand, those of layers
// by new inputs [n, width]. Throws EngineFileError for a stream that is not in the manifest, since
// nothing would draw it.
void add_noise_inputs(ov::Model* model, const std::string& path, const Manifest& manifest) {
  for (const auto& node : model->get_ordered_ops()) {
    const auto noise = ov::as_type_ptr<NoiseNode>(node);
    if (!noise) continue;
    ov::Output<ov::Node> replacement = noise->input_value(0);
    const bool latent =
        has_trait(manifest, kDrawsLatent) && noise->stream() == manifest.latent_stream;
    const auto& layers = manifest.layer_noise;
    const auto layer = std::find_if(layers.begin(), layers.end(), [&](const LayerNoise& other) {
      return other.stream == noise->stream();
    });
    if (layer != layers.end()) {
      const ov::PartialShape shape{-1, static_cast<int64_t>(layer->width)};
      if (!replacement.get_partial_shape().compatible(shape)) {
        fail_stream(path, noise->stream(), ", but not as many numbers as its manifest says");
      }
      const auto input = std::make_shared<ov::op::v0::Parameter>(ov::element::f32, shape);
      input->output(0).set_names({io::layer_noise(layer->stream)});
      model->add_parameters({input});
      replacement = input->output(0);
    } else if (!latent) {
      fail_stream(path, noise->stream(), ", which is not in its manifest");
    }
    noise->output(0).replace(replacement);
  }
}

}  // namespace

ov::element::Type element_type(TensorType type) {
  switch (type) {
    case TensorType::kFloat32:
      return ov::element::f32;
    case TensorType::kUint8:
      return ov::element::u8;
    case TensorType::kInt64:
      break;
  }
  return ov::element::i64;
}

ov::Core& shared_core() {
  static std::mutex mutex;
  static ov::Core* core = nullptr;
  static pid_t owner = 0;
  const std::lock_guard<std::mutex> lock(mutex);
  if (owner == 0) call_before_forks(end_idle_threads);
  if (!core || owner != getpid()) {
    core = new ov::Core;
    core->add_extension(noise_extension());
    owner = getpid();
  }
  return *core;
}

// Lets the graph decode the latent itself instead of its transform to the learned prior, which the
// runtime computes.
void remove_learned_prior(ov::Model* model, const Manifest& manifest) {
  if (manifest.mixture.empty()) return;
  std::optional<ov::Output<ov::Node>> drawn, decoded;
  for (const auto& node : model->get_ordered_ops()) {
    const auto noise = ov::as_type_ptr<NoiseNode>(node);
    if (noise && noise->stream() == manifest.latent_stream) drawn = noise->output(0);
    if (node->get_output_size() == 1 && node->output(0).get_names().count(io::kDecoded) != 0) {
      decoded = node->output(0);
    }
  }
  if (drawn && decoded) decoded->replace(*drawn);
}

std::shared_ptr<ov::Model> read_graph(ov::Core* core, const BackendConfig& config,
                                      ov::element::Type precision) {
  const std::string& path = config.path;
  const Manifest& manifest = *config.manifest;
  auto model = core->read_model(std::string(config.graph), ov::Tensor());
  remove_learned_prior(model.get(), manifest);
  add_noise_inputs(model.get(), path, manifest);
  const ov::ParameterVector parameters = model->get_parameters();
  for (const auto& parameter : parameters) {
    if (parameter->output(0).get_target_inputs().empty()) model->remove_parameter(parameter);
  }
  check_tensors(path, manifest, /*draws=*/false,
                list_tensors(model->inputs(), input_names(manifest, /*draws=*/false), manifest),
                list_tensors(model->outputs(), output_names(manifest), manifest));
  if (precision == ov::element::bf16) rewrite_transposed_convolutions(model);
  return model;
}

}  // namespace zoo
