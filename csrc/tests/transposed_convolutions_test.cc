// Transposed convolutions rewritten for OpenVINO, against their definition in double precision.

#include "backends/openvino/transposed_convolutions.h"

#include <cmath>
#include <openvino/openvino.hpp>
#include <openvino/opsets/opset13.hpp>
#include <random>
#include <string>
#include <vector>

#include "check.h"

namespace zoo {
namespace {

namespace op = ov::opset13;

struct Case {
  size_t inputs, outputs;
  size_t height, width;  // of the map
  std::vector<size_t> kernel, stride;
  std::vector<std::ptrdiff_t> before, after;
  std::vector<std::ptrdiff_t> more = {0, 0};  // output padding
  std::vector<size_t> dilation = {1, 1};
};

std::vector<float> draw(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

// A graph with a transposed convolution from `in` [n, inputs, height, width], n of any size.
class Toy {
 public:
  Toy(const Case& a_case, bool with_bias)
      : case_(a_case),
        weights_(draw(case_.inputs * case_.outputs * case_.kernel[0] * case_.kernel[1], 1)),
        bias_(with_bias ? draw(case_.outputs, 2) : std::vector<float>(case_.outputs)) {
    const auto side = [](size_t length) { return static_cast<int64_t>(length); };
    in_ = std::make_shared<op::Parameter>(
        ov::element::f32,
        ov::PartialShape{-1, side(case_.inputs), side(case_.height), side(case_.width)});
    in_->output(0).set_names({"in"});
    // In half precision, as weights are often stored.
    const auto weights = op::Constant::create(
        ov::element::f16, ov::Shape{case_.inputs, case_.outputs, case_.kernel[0], case_.kernel[1]},
        weights_);
    for (size_t i = 0; i < weights_.size(); ++i) weights_[i] = weights->cast_vector<float>()[i];
    const auto wide = std::make_shared<op::Convert>(weights, ov::element::f32);
    std::shared_ptr<ov::Node> node = std::make_shared<op::ConvolutionBackpropData>(
        in_, wide, ov::Strides(case_.stride), ov::CoordinateDiff(case_.before),
        ov::CoordinateDiff(case_.after), ov::Strides(case_.dilation), ov::op::PadType::EXPLICIT,
        ov::CoordinateDiff(case_.more));
    if (with_bias) {
      const auto bias =
          op::Constant::create(ov::element::f32, ov::Shape{1, case_.outputs, 1, 1}, bias_);
      node = std::make_shared<op::Add>(node, bias);
    }
    node->output(0).add_names({"out"});
    last_ = std::make_shared<op::Tanh>(node);
  }

  std::shared_ptr<ov::Model> model() const {
    return std::make_shared<ov::Model>(ov::OutputVector{last_}, ov::ParameterVector{in_});
  }

  // Returns [rows, outputs, height, width] of the output before the hyperbolic tangent.
  std::vector<double> define(const std::vector<float>& in, size_t rows) const {
    const size_t height = length(0), width = length(1);
    std::vector<double> out(rows * case_.outputs * height * width);
    for (size_t n = 0; n < rows; ++n) {
      for (size_t o = 0; o < case_.outputs; ++o) {
        double* const plane = out.data() + (n * case_.outputs + o) * height * width;
        std::fill(plane, plane + height * width, bias_[o]);
        for (size_t i = 0; i < case_.inputs; ++i) add(in, n, i, o, plane);
      }
    }
    return out;
  }

 private:
  size_t length(size_t axis) const {
    const size_t side = axis == 0 ? case_.height : case_.width;
    const size_t extent =
        (side - 1) * case_.stride[axis] + (case_.kernel[axis] - 1) * case_.dilation[axis] + 1;
    return extent + case_.more[axis] - case_.before[axis] - case_.after[axis];
  }

  // Adds input channel i to the plane of output channel o.
  void add(const std::vector<float>& in, size_t n, size_t i, size_t o, double* plane) const {
    const auto height = static_cast<std::ptrdiff_t>(length(0));
    const auto width = static_cast<std::ptrdiff_t>(length(1));
    const auto at = [&](size_t place, size_t tap, size_t axis) {
      return static_cast<std::ptrdiff_t>(place * case_.stride[axis] + tap * case_.dilation[axis]) -
             case_.before[axis];
    };
    for (size_t h = 0; h < case_.height; ++h) {
      for (size_t w = 0; w < case_.width; ++w) {
        const double x = in[((n * case_.inputs + i) * case_.height + h) * case_.width + w];
        for (size_t k = 0; k < case_.kernel[0]; ++k) {
          for (size_t l = 0; l < case_.kernel[1]; ++l) {
            const std::ptrdiff_t row = at(h, k, 0), column = at(w, l, 1);
            if (row < 0 || row >= height || column < 0 || column >= width) continue;
            plane[row * width + column] +=
                x * weights_[((i * case_.outputs + o) * case_.kernel[0] + k) * case_.kernel[1] + l];
          }
        }
      }
    }
  }

  const Case case_;
  std::vector<float> weights_;
  const std::vector<float> bias_;
  std::shared_ptr<op::Parameter> in_;
  std::shared_ptr<ov::Node> last_;
};

size_t count(const ov::Model& model, const std::string& kind) {
  size_t found = 0;
  for (const auto& node : model.get_ops()) found += node->get_type_name() == kind;
  return found;
}

// Checks the outputs of the rewritten graph for one and for three rows.
bool is_right(const Toy& toy, const Case& a_case, const std::shared_ptr<ov::Model>& model) {
  static auto* const core = new ov::Core;
  auto compiled = core->compile_model(model, "CPU", ov::inference_num_threads(1),
                                      ov::hint::inference_precision(ov::element::f32));
  auto request = compiled.create_infer_request();
  double furthest = 0.0;
  for (const size_t rows : {1, 3}) {
    auto in = draw(rows * a_case.inputs * a_case.height * a_case.width, 3);
    request.set_tensor(
        "in", ov::Tensor(ov::element::f32, {rows, a_case.inputs, a_case.height, a_case.width},
                         in.data()));
    request.infer();
    const ov::Tensor out = request.get_output_tensor();
    const std::vector<double> expected = toy.define(in, rows);
    if (out.get_size() != expected.size()) return false;
    for (size_t i = 0; i < expected.size(); ++i) {
      furthest = std::max(furthest, std::abs(std::tanh(expected[i]) - out.data<float>()[i]));
    }
  }
  return furthest < 2e-5;
}

void rewritten_ones_compute_the_same() {
  const Case cases[] = {
      {5, 20, 5, 7, {4, 4}, {2, 2}, {1, 1}, {1, 1}},
      {3, 1, 5, 7, {4, 4}, {2, 2}, {1, 1}, {1, 1}},  // one convolution
      {3, 4, 1, 3, {4, 4}, {2, 2}, {1, 1}, {1, 1}},  // one convolution, 16 channels
      {3, 5, 3, 1, {4, 4}, {2, 2}, {1, 1}, {1, 1}},
      {2, 3, 4, 3, {2, 2}, {2, 2}, {0, 0}, {0, 0}},
      {4, 6, 3, 5, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}},  // phases of one and two weights
      {4, 6, 3, 5, {6, 6}, {3, 3}, {1, 2}, {2, 1}},
      {2, 2, 5, 2, {5, 7}, {1, 1}, {2, 3}, {2, 3}},
      {2, 9, 3, 3, {6, 4}, {2, 2}, {2, 1}, {2, 1}},
      {2, 3, 4, 5, {4, 4}, {2, 2}, {2, 2}, {0, 0}},
  };
  for (const Case& a_case : cases) {
    for (const bool bias : {false, true}) {
      const Toy toy(a_case, bias);
      const auto model = toy.model();
      CHECK(rewrite_transposed_convolutions(model) == 1);
      CHECK(count(*model, "ConvolutionBackpropData") == 0);
      const size_t phases = a_case.stride[0] * a_case.stride[1];
      CHECK(count(*model, "Convolution") == (a_case.outputs * phases <= 16 ? 1 : phases));
      CHECK(count(*model, "Slice") == 0 && count(*model, "Convert") == 0);  // folded
      CHECK(is_right(toy, a_case, model));
    }
  }
}

void single_pixels_become_products() {
  for (const std::vector<size_t>& stride : {std::vector<size_t>{1, 1}, {2, 3}}) {
    const Case a_case{6, 5, 1, 1, {4, 3}, stride, {0, 0}, {0, 0}};
    const Toy toy(a_case, /*with_bias=*/true);
    const auto model = toy.model();
    CHECK(rewrite_transposed_convolutions(model) == 1);
    CHECK(count(*model, "MatMul") == 1 && count(*model, "ConvolutionBackpropData") == 0);
    CHECK(is_right(toy, a_case, model));
  }
}

void others_stay() {
  const Case cases[] = {
      {2, 3, 4, 5, {4, 4}, {2, 1}, {1, 1}, {1, 2}},  // unequal strides
      {2, 3, 4, 5, {4, 4}, {2, 2}, {0, 0}, {0, 0}},  // more than twice as long
      {2, 3, 4, 5, {4, 4}, {2, 2}, {1, 1}, {1, 1}, {1, 1}},
      {2, 3, 4, 5, {3, 3}, {2, 2}, {1, 1}, {1, 1}},                  // less than twice as long
      {2, 3, 4, 5, {1, 1}, {2, 2}, {0, 0}, {0, 0}, {1, 1}},          // phases without weights
      {2, 3, 4, 5, {2, 2}, {2, 2}, {1, 1}, {0, 0}, {1, 1}},          // no weight for the own place
      {2, 3, 4, 5, {2, 2}, {2, 2}, {0, 0}, {1, 1}, {1, 1}, {2, 2}},  // dilated
      {2, 3, 1, 1, {4, 4}, {1, 1}, {1, 1}, {1, 1}},
  };
  for (const Case& a_case : cases) {
    const Toy toy(a_case, /*with_bias=*/true);
    const auto model = toy.model();
    CHECK(rewrite_transposed_convolutions(model) == 0);
    CHECK(count(*model, "ConvolutionBackpropData") == 1);
    CHECK(is_right(toy, a_case, model));
  }
  const auto in = std::make_shared<op::Parameter>(ov::element::f32, ov::PartialShape{-1, 4, 3, 3});
  const auto weights =
      op::Constant::create(ov::element::f32, ov::Shape{2, 2, 3, 4, 4}, draw(192, 1));
  const auto groups = std::make_shared<op::GroupConvolutionBackpropData>(
      in, weights, ov::Strides{2, 2}, ov::CoordinateDiff{1, 1}, ov::CoordinateDiff{1, 1},
      ov::Strides{1, 1});
  CHECK(rewrite_transposed_convolutions(
            std::make_shared<ov::Model>(ov::OutputVector{groups}, ov::ParameterVector{in})) == 0);
}

// Only the layers after the last convolution are rewritten, in every branch of the graph.
void layers_before_a_convolution_stay() {
  const auto enlarged = [](const ov::Output<ov::Node>& from, size_t inputs, size_t outputs) {
    const auto weights = op::Constant::create(ov::element::f32, ov::Shape{inputs, outputs, 4, 4},
                                              draw(inputs * outputs * 16, 1));
    return std::make_shared<op::ConvolutionBackpropData>(
        from, weights, ov::Strides{2, 2}, ov::CoordinateDiff{1, 1}, ov::CoordinateDiff{1, 1},
        ov::Strides{1, 1});
  };
  const auto in = std::make_shared<op::Parameter>(ov::element::f32, ov::PartialShape{-1, 2, 3, 3});
  const auto first = enlarged(in, 2, 4);
  const auto weights = op::Constant::create(ov::element::f32, ov::Shape{4, 4, 1, 1}, draw(16, 1));
  const auto convolution =
      std::make_shared<op::Convolution>(first, weights, ov::Strides{1, 1}, ov::CoordinateDiff{0, 0},
                                        ov::CoordinateDiff{0, 0}, ov::Strides{1, 1});
  const auto second = enlarged(std::make_shared<op::Relu>(convolution), 4, 3);
  const auto third = enlarged(second, 3, 1);
  const auto model =
      std::make_shared<ov::Model>(ov::OutputVector{second, third}, ov::ParameterVector{in});
  CHECK(rewrite_transposed_convolutions(model) == 2);
  CHECK(count(*model, "ConvolutionBackpropData") == 1);
  const auto ends =
      std::make_shared<ov::Model>(ov::OutputVector{convolution}, ov::ParameterVector{in});
  CHECK(rewrite_transposed_convolutions(ends) == 0);
}

}  // namespace
}  // namespace zoo

int main() {
  zoo::rewritten_ones_compute_the_same();
  zoo::single_pixels_become_products();
  zoo::others_stay();
  zoo::layers_before_a_convolution_stay();
  return zoo::test::report();
}
