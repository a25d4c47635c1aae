#include "backends/native/native_backend.h"

#include <vector>

#include "backends/native/lowering.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

using native::Kernels;
using native::Network;
using native::Plan;

// From how many rows on a group is computed whole, rather than image by image.
constexpr size_t kWorthAGroup = 5;

class NativeBackend : public Backend {
 public:
  NativeBackend(const Kernels& kernels, const Kernels& wide, Network network, size_t instances)
      : network_(packed(std::move(network), kernels, wide)),
        group_(kernels, wide, network_, native::kGroup),
        single_(kernels, wide, network_, 1),
        instances_(instances) {}

  NoiseFrom noise_from() const override { return NoiseFrom::kCaller; }
  bool fixed_batch() const override { return false; }
  void prepare(size_t) override {}

  void run(size_t instance, const RunArguments& arguments) override {
    native::Rows rows;
    for (const Binding& binding : arguments.inputs) rows.emplace(binding.name, binding.data);
    Instance& own = instances_[instance];
    void* const image = arguments.outputs.front().data;
    for (size_t first = 0; first < arguments.rows;) {
      const size_t left = arguments.rows - first;
      const bool group = left >= kWorthAGroup;
      const size_t count = group ? std::min(left, native::kGroup) : 1;
      const Plan& plan = group ? group_ : single_;
      Room& room = group ? own.group : own.single;
      // The first run of an instance makes its memory, in its own thread.
      room.maps.resize(plan.maps());
      room.floats.resize(plan.floats());
      plan.run(rows, first, count, room.maps.data(), room.floats.data(), image);
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
  };

  static Network packed(Network network, const Kernels& kernels, const Kernels& wide) {
    network.pack(kernels, wide);
    return network;
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
  const Kernels& kernels = native::kernels(config.precision);
  const Kernels& wide = native::kernels("fp32");
  const native::Graph graph(config.graph);
  return std::make_unique<NativeBackend>(kernels, wide, native::lower(graph, *config.manifest),
                                         config.instances);
}

}  // namespace zoo
