#include "format/onnx_check.h"

#include <algorithm>
#include <iterator>
#include <sstream>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "zoo/errors.h"

namespace zoo {
namespace {

// The table below holds from opset 13 on, where attributes became operands. The upper limit is far
// above the versions that exist, and small enough to count down from.
constexpr int64_t kOldestOpset = 13;
constexpr int64_t kNewestOpset = 1000;

constexpr size_t kMaxFunctions = 1000;

constexpr int64_t kOldestFormat = 3;
constexpr int64_t kNewestFormat = 1000;

// Standard operators by their number of required operands (ONNX Operators.md); those not listed
// require one.
struct Operands {
  size_t required;
  const char* operators;
};
constexpr Operands kOperands[] = {
    {0, "Constant Optional OptionalHasElement RandomNormal RandomUniform SequenceEmpty"},
    {2,
     "Add AffineGrid And BitShift BitwiseAnd BitwiseOr BitwiseXor CastLike CausalConvWithState "
     "CenterCropPad Compress Conv ConvInteger ConvTranspose CumProd CumSum DequantizeLinear Div "
     "Equal Expand Gather GatherElements GatherND Gemm Greater GreaterOrEqual GridSample "
     "LayerNormalization Less LessOrEqual MatMul MatMulInteger MaxRoiPool MaxUnpool Mod Mul "
     "NegativeLogLikelihoodLoss NonMaxSuppression Or PRelu Pad Pow QuantizeLinear "
     "RMSNormalization Reshape ReverseSequence STFT SequenceAt SequenceInsert "
     "SoftmaxCrossEntropyLoss StringConcat Sub SwiGLU TensorScatter Tile TopK Unsqueeze Xor"},
    {3,
     "Attention Col2Im DeformConv GRU GroupNormalization InstanceNormalization LSTM "
     "LinearAttention OneHot RNN Range RoiAlign RotaryEmbedding Scatter ScatterElements "
     "ScatterND Slice Where"},
    {5, "BatchNormalization MelWeightMatrix"},
    {8, "QLinearConv QLinearMatMul"}};

// Operators of this project.
constexpr const char* kDomain = "zoo";
constexpr Operands kOwnOperands[] = {{4, "ReparametrizedSample"}, {3, "BatchedInterpolate"}};

using OperandCounts = std::unordered_map<std::string, size_t>;

template <size_t N>
OperandCounts index_operators(const Operands (&table)[N]) {
  OperandCounts counts;
  for (const Operands& row : table) {
    std::istringstream names(row.operators);
    for (std::string name; names >> name;) counts[name] = row.required;
  }
  return counts;
}

using Names = std::unordered_set<std::string_view>;

// The names that a graph can use: its own and those of the enclosing graph.
struct Scope {
  const Scope* outer;
  Names names;

  bool has(std::string_view name) const {
    return names.count(name) != 0 || (outer && outer->has(name));
  }
  void define(std::string_view name) {
    if (name.empty() || !names.insert(name).second) {
      throw EngineFileError("its graph defines " + quoted(name) + " twice");
    }
  }
};

using FunctionName = std::pair<std::string_view, std::string_view>;  // domain, name
using Functions = std::map<FunctionName, const OnnxFunction*>;

class Checker {
 public:
  explicit Checker(const OnnxModel& model) : model_(model) {
    if (model.functions.size() > kMaxFunctions) {
      throw EngineFileError("it has " + std::to_string(model.functions.size()) +
                            " functions, expected at most " + std::to_string(kMaxFunctions));
    }
    for (const OnnxFunction& function : model.functions) {
      if (!functions_.emplace(FunctionName(function.domain, function.name), &function).second) {
        throw EngineFileError("it defines the function " + quoted(function.name) + " twice");
      }
    }
  }

  void check() {
    check_version("format", model_.ir_version, kOldestFormat, kNewestFormat);
    check_opsets(model_.opsets);
    check_graph(model_.graph, nullptr);
    for (const OnnxFunction& function : model_.functions) {
      check_opsets(function.opsets);
      Scope scope{nullptr, {}};
      for (const std::string_view input : function.inputs) scope.define(input);
      for (const OnnxNode& node : function.nodes) check_node(node, &scope);
      for (const std::string_view output : function.outputs) require_defined(scope, output);
      check_calls(&function);
    }
  }

 private:
  static void check_version(const std::string& what, int64_t version, int64_t oldest,
                            int64_t newest) {
    if (version >= oldest && version <= newest) return;
    throw EngineFileError("its graph has version " + std::to_string(version) + " of the " + what +
                          ", expected " + std::to_string(oldest) + " to " + std::to_string(newest));
  }

  static void check_opsets(const OnnxOpsets& opsets) {
    for (const auto& [domain, version] : opsets) {
      const int64_t oldest = domain.empty() ? kOldestOpset : 1;
      const std::string what =
          domain.empty() ? "standard operators" : "operators " + quoted(domain);
      check_version(what, version, oldest, kNewestOpset);
    }
  }

  static void require_defined(const Scope& scope, std::string_view name) {
    if (scope.has(name)) return;
    throw EngineFileError("its graph uses " + quoted(name) + " before it is defined");
  }

  size_t required_operands(const OnnxNode& node) const {
    static const OperandCounts standard = index_operators(kOperands);
    static const OperandCounts own = index_operators(kOwnOperands);
    if (node.domain.empty() || node.domain == kDomain) {
      const OperandCounts& counts = node.domain.empty() ? standard : own;
      const auto count = counts.find(std::string(node.op));
      if (count != counts.end()) return count->second;
    }
    return functions_.count({node.domain, node.op}) != 0 ? 0 : 1;
  }

  void check_node(const OnnxNode& node, Scope* scope) const {
    if (node.op.empty()) throw EngineFileError("a node of its graph has no operator");
    // Only the first operands of a loop, count and condition, may be omitted.
    const bool optional = node.domain.empty() && node.op == "Loop";
    const size_t required = required_operands(node);
    const auto present = std::min(required, node.inputs.size());
    const auto omitted = std::count(node.inputs.begin(), node.inputs.begin() + present, "");
    if (present < required || (omitted != 0 && !optional)) {
      throw EngineFileError("a node " + quoted(node.op) + " of its graph needs " +
                            std::to_string(required) + " operands");
    }
    for (const std::string_view input : node.inputs) {
      if (!input.empty()) require_defined(*scope, input);
    }
    for (const OnnxGraph& graph : node.graphs) check_graph(graph, scope);
    // OpenVINO writes out of bounds if computed lengths are negative.
    if (node.domain.empty() && node.op == "Split" && node.inputs.size() > 1 &&
        !node.inputs[1].empty() && weights_.count(node.inputs[1]) == 0) {
      throw EngineFileError("a node 'Split' of its graph has lengths that are not constant");
    }
    if (node.outputs.empty()) {
      throw EngineFileError("a node " + quoted(node.op) + " of its graph has no outputs");
    }
    for (const std::string_view output : node.outputs) {
      if (!output.empty()) scope->define(output);
    }
  }

  void check_graph(const OnnxGraph& graph, const Scope* outer) const {
    Scope scope{outer, {}};
    for (const OnnxTensor& weights : graph.initializers) scope.define(weights.name);
    for (const OnnxTensor& weights : graph.initializers) weights_.insert(weights.name);
    Names inputs;
    for (const OnnxValue& input : graph.inputs) {
      // An input may share its name with weights, which are its default value.
      if (input.name.empty() || !inputs.insert(input.name).second) {
        throw EngineFileError("its graph has the input " + quoted(input.name) + " twice");
      }
    }
    scope.names.insert(inputs.begin(), inputs.end());
    for (const OnnxNode& node : graph.nodes) check_node(node, &scope);
    for (const OnnxValue& output : graph.outputs) require_defined(scope, output.name);
  }

  // Follows calls between functions, visiting each function once.
  void check_calls(const OnnxFunction* function) {
    if (done_.count(function) != 0) return;
    if (!open_.insert(function).second) {
      throw EngineFileError("its function " + quoted(function->name) + " calls itself");
    }
    for (const OnnxNode& node : function->nodes) follow(node);
    open_.erase(function);
    done_.insert(function);
  }

  void follow(const OnnxNode& node) {
    const auto called = functions_.find({node.domain, node.op});
    if (called != functions_.end()) check_calls(called->second);
    for (const OnnxGraph& graph : node.graphs) {
      for (const OnnxNode& inner : graph.nodes) follow(inner);
    }
  }

  const OnnxModel& model_;
  Functions functions_;
  mutable Names weights_;  // of all graphs
  std::unordered_set<const OnnxFunction*> open_;
  std::unordered_set<const OnnxFunction*> done_;
};

}  // namespace

void check_onnx(const OnnxModel& model) { Checker(model).check(); }

}  // namespace zoo
