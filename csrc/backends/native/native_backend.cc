#include "backends/native/native_backend.h"

#include <vector>

#include "backends/native/lowering.h"
#include "core/mapped_file.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

using native::Floats;
using native::Network;
using native::Plan;

// From how many rows on a group is computed whole, rather than image by image.
constexpr size_t kWorthAGroup = 5;

class NativeBackend : public Backend {
 public:
  NativeBackend(const BackendConfig& config, Network network)
      : network_(std::move(network)),
        group_(network_, native::kGroup),
        single_(network_, 1),
        instances_(config.instances) {}

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
      Floats& memory = group ? own.group : own.single;
      // The first run of an instance makes its memory, in its own thread.
      if (memory.empty()) memory.resize(plan.memory());
      plan.run(rows, first, count, memory.data(), image);
      first += count;
    }
  }

 private:
  struct Instance {
    Floats group;
    Floats single;
  };

  const Network network_;
  const Plan group_;
  const Plan single_;
  std::vector<Instance> instances_;
};

}  // namespace

bool native_can(const std::string& precision) {
  return precision == "fp32" && !native::supported_kernels().empty();
}

std::string native_version() { return native::kernels().isa; }

std::unique_ptr<Backend> make_native(const BackendConfig& config) {
  if (config.precision != "fp32") {
    throw BackendUnavailableError("backend native runs fp32, not " + config.precision +
                                  ": use backend='openvino' for bf16");
  }
  native::kernels();
  const MappedFile file(config.path);
  const std::string_view bytes(reinterpret_cast<const char*>(file.begin()), file.size());
  const native::Graph graph(bytes);
  return std::make_unique<NativeBackend>(config, native::lower(graph, *config.manifest));
}

}  // namespace zoo
