#include "backends/native/native_backend.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "backends/native/lowering/lowering.h"
#include "backends/native/matrix_units.h"
#include "backends/native/plan.h"
#include "base/median.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

using native::KernelSet;
using native::Network;
using native::Plan;
using native::Team;

// Minimum number of rows for which a group is computed together rather than image by image.
constexpr size_t kWorthAGroup = 5;

// Operations in split steps from which on several threads compute an image faster than one, and the
// most threads that do.
constexpr double kWorthHelp = 3e7;
constexpr size_t kMostThreads = 8;

// Measurement of layers: minimum number of rounds, and iterations of the peak measurement per
// round.
constexpr size_t kLeastRounds = 5;
constexpr size_t kSpins = 20000;

class NativeBackend : public Backend {
 public:
  NativeBackend(const KernelSet& kernels, Network network, size_t instances)
      : kernels_(kernels),
        network_(pack(std::move(network), kernels)),
        group_(kernels, network_, native::kGroup),
        single_(kernels, network_, 1, {std::min(instances, kMostThreads)}),
        instances_(instances) {}

  NoiseFrom noise_from() const override { return NoiseFrom::kCaller; }
  bool fixed_batch() const override { return false; }
  void prepare(size_t) override {}

  size_t helpers(size_t rows) const override {
    return rows == 1 && single_.shared_operations() >= kWorthHelp
               ? std::min(instances_.size(), kMostThreads) - 1
               : 0;
  }

  std::unique_ptr<zoo::Team> make_team() const override { return std::make_unique<Team>(); }

  void help(size_t instance, zoo::Team* team) override {
    Room& room = instances_[instance].single;
    room.floats.resize(single_.floats());
    single_.help(room.floats.data(), static_cast<Team*>(team));
  }

  void run(size_t instance, const RunArguments& arguments) override {
    Instance& own = instances_[instance];
    bind(network_.inputs, arguments.inputs, &own.inputs);
    bind(network_.outputs, arguments.outputs, &own.outputs);
    if (arguments.team) {
      own.single.maps.resize(single_.maps());
      own.single.floats.resize(single_.floats());
      single_.lead(own.inputs.data(), own.outputs.data(), 0, own.single.maps.data(),
                   own.single.floats.data(), static_cast<Team*>(arguments.team));
      return;
    }
    run_rows(&own, arguments.rows, nullptr, nullptr);
  }

  LayerTimes measure_layers(const RunArguments& arguments, double seconds) override {
    using Clock = std::chrono::steady_clock;
    const auto since = [](Clock::time_point begin) {
      return std::chrono::duration<double>(Clock::now() - begin).count();
    };
    run(0, arguments);  // warms up, and binds the tensors
    std::vector<double> ceilings;
    std::vector<std::vector<double>> rounds(network_.operators.size());
    for (const auto begin = Clock::now();
         ceilings.size() < kLeastRounds || since(begin) < seconds;) {
      const auto spin_begin = Clock::now();
      const double operations = kernels_.fastest().spin(kSpins);
      ceilings.push_back(operations / since(spin_begin));
      std::vector<double> group(group_.steps().size()), single(single_.steps().size());
      run_rows(&instances_.front(), arguments.rows, group.data(), single.data());
      std::vector<double> round(rounds.size());
      for (size_t i = 0; i < group.size(); ++i) round[group_.steps()[i].op] += group[i];
      for (size_t i = 0; i < single.size(); ++i) round[single_.steps()[i].op] += single[i];
      for (size_t op = 0; op < rounds.size(); ++op) rounds[op].push_back(round[op]);
    }
    const Plan& plan = arguments.rows >= kWorthAGroup ? group_ : single_;
    LayerTimes times{kernels_.fastest().isa, median(&ceilings), {}};
    for (const native::PlacedStep& placed : plan.steps()) {
      const native::Operator& op = *network_.operators[placed.op];
      const double images = static_cast<double>(arguments.rows);
      times.layers.push_back({op.layer, op.kind(), placed.step->kernel(), op.operations(),
                              median(&rounds[placed.op]) / images});
    }
    return times;
  }

 private:
  struct Room {
    native::Bytes maps;
    native::Floats floats;
  };
  struct Instance {
    Room group;
    Room single;
    std::vector<void*> inputs;  // of the run, in the order of Network::inputs
    std::vector<void*> outputs;
  };

  // Computes `rows` rows of the tensors bound by the instance. Adds the times of the steps of both
  // plans to the given arrays, unless they are null.
  void run_rows(Instance* own, size_t rows, double* group_seconds, double* single_seconds) const {
    for (size_t first = 0; first < rows;) {
      const size_t left = rows - first;
      const bool group = left >= kWorthAGroup;
      const size_t count = group ? std::min(left, native::kGroup) : 1;
      const Plan& plan = group ? group_ : single_;
      Room& room = group ? own->group : own->single;
      // The first run of an instance allocates its memory, in the thread that uses it.
      room.maps.resize(plan.maps());
      room.floats.resize(plan.floats());
      plan.run(own->inputs.data(), own->outputs.data(), first, count, room.maps.data(),
               room.floats.data(), group ? group_seconds : single_seconds);
      first += count;
    }
  }

  static Network pack(Network network, const KernelSet& kernels) {
    network.pack(kernels);
    return network;
  }

  // Sets the pointers of the named tensors; null for tensors without a binding.
  static void bind(const std::vector<std::string>& names, const std::vector<Binding>& bindings,
                   std::vector<void*>* tensors) {
    tensors->assign(names.size(), nullptr);
    for (size_t i = 0; i < names.size(); ++i) {
      for (const Binding& binding : bindings) {
        if (binding.name == names[i]) (*tensors)[i] = binding.data;
      }
    }
  }

  const KernelSet kernels_;
  const Network network_;
  const Plan group_;
  const Plan single_;
  std::vector<Instance> instances_;
};

}  // namespace

bool native_can(const std::string& precision) {
  return !native::supported_kernels(precision).empty();
}

bool native_goes_first(const std::string& precision) {
  return native_can(precision) && !(precision == "bf16" && native::has_matrix_units());
}

std::string native_version() { return native::kernels("fp32").isa; }

std::unique_ptr<Backend> make_native(const BackendConfig& config) {
  // What a network in int8 does not compute with bytes is in bf16, if the CPU has it.
  const bool bytes = config.precision == "int8";
  const char* const narrow = native::supported_kernels("bf16").empty() ? "fp32" : "bf16";
  const KernelSet kernels{native::kernels(bytes ? narrow : config.precision),
                          native::kernels("fp32"), bytes ? &native::kernels("int8") : nullptr};
  return std::make_unique<NativeBackend>(
      kernels, native::lower(native::Graph(config.graph), *config.manifest, bytes),
      config.instances);
}

}  // namespace zoo
