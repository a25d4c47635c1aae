// Rewrites transposed convolutions for OpenVINO in bf16.
#pragma once

#include <cstddef>
#include <memory>
#include <openvino/core/model.hpp>

namespace zoo {

// Replaces transposed convolutions near the outputs of a graph by convolutions, and returns their
// number.
//
// OpenVINO's CPU plugin computes in fp32 whatever follows the last convolution or matrix product of
// a graph, and does not count a transposed convolution as one, so a network of transposed
// convolutions alone runs in fp32 throughout. Those of that part are replaced, the others stay,
// because the plugin's own kernel is faster in bf16.
//
// A transposed convolution of stride s that enlarges both sides s times becomes a convolution for
// each of its s·s phases, the outputs at (s·y + a, s·x + b), interleaved by DepthToSpace. Together
// they have as many products. If all phases have at most 16 channels, one convolution with the
// union of their windows computes them, since the plugin's kernels compute 16 channels at a time.
// On maps of a single pixel a transposed convolution becomes a matrix product.
//
// Groups, dilations, unequal strides and other sizes of the output stay as they are.
size_t rewrite_transposed_convolutions(const std::shared_ptr<ov::Model>& model);

}  // namespace zoo
