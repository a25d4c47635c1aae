#include "backends/native/native_backend.h"

#include <vector>

#include <algorithm>

#include "backends/native/lowering/lowering.h"
#include "backends/native/plan.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

using native::KernelPair;
using native::Network;
using native::Plan;

// From how many rows on a group is computed whole, rather than image by image.
constexpr size_t kWorthAGroup = 5;

class NativeBackend : public Backend {
 public:
  NativeBackend(const KernelPair& kernels, Network network, size_t instances)
      : network_(pack(std::move(network), kernels)),
        group_(kernels, network_, native::kGroup),
        single_(kernels, network_, 1),
        instances_(instances) {}

  NoiseFrom noise_from() const override { return NoiseFrom::kCaller; }
  bool fixed_batch() const override { return false; }
  void prepare(size_t) override {}

  void run(size_t instance, const RunArguments& arguments) override {
    Instance& own = instances_[instance];
    bind(network_.inputs, arguments.inputs, &own.inputs);
    bind(network_.outputs, arguments.outputs, &own.outputs);
    for (size_t first = 0; first < arguments.rows;) {
      const size_t left = arguments.rows - first;
      const bool group = left >= kWorthAGroup;
      const size_t count = group ? std::min(left, native::kGroup) : 1;
      const Plan& plan = group ? group_ : single_;
      Room& room = group ? own.group : own.single;
      // The first run of an instance makes its memory, in its own thread.
      room.maps.resize(plan.maps());
      room.floats.resize(plan.floats());
      plan.run(own.inputs.data(), own.outputs.data(), first, count, room.maps.data(),
               room.floats.data());
      first += count;
    }
  }

 private:
  struct Room {
    native::Bytes maps;
    native::Floats floats;
  };
  struct Instance {
    Room group;
    Room single;
    std::vector<void*> inputs;  // of the run, in the order of the network
    std::vector<void*> outputs;
  };

  static Network pack(Network network, const KernelPair& kernels) {
    network.pack(kernels);
    return network;
  }

  // Null for what is not there.
  static void bind(const std::vector<std::string>& names, const std::vector<Binding>& bindings,
                   std::vector<void*>* tensors) {
    tensors->assign(names.size(), nullptr);
    for (size_t i = 0; i < names.size(); ++i) {
      for (const Binding& binding : bindings) {
        if (binding.name == names[i]) (*tensors)[i] = binding.data;
      }
    }
  }

  const Network network_;
  const Plan group_;
  const Plan single_;
  std::vector<Instance> instances_;
};

}  // namespace

bool native_can(const std::string& precision) {
  return !native::supported_kernels(precision).empty();
}

std::string native_version() { return native::kernels("fp32").isa; }

std::unique_ptr<Backend> make_native(const BackendConfig& config) {
  const KernelPair kernels{native::kernels(config.precision), native::kernels("fp32")};
  const native::Graph graph(config.graph);
  return std::make_unique<NativeBackend>(kernels, native::lower(graph, *config.manifest),
                                         config.instances);
}

}  // namespace zoo
