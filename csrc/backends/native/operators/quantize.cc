#include "backends/native/operators/quantize.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>

namespace zoo::native {
namespace {

class PlacedQuantize : public Step {
 public:
  PlacedQuantize(const Places& places, const ByteCode& code)
      : kernels_(places.kernels.of(places.in.front().storage)),
        code_(code),
        in_(places.in.front()),
        out_(places.out) {}

  void run(const Run& run, size_t image, size_t count) const override {
    QuantizeCall call{};
    call.factor = code_.factor;
    call.zero = code_.zero;
    const bool together = in_.grouped && out_.grouped;
    call.in_step = together ? kBlock : in_.column;
    call.out_step = together ? kBlock : out_.column;
    call.count = out_.shape.width * (together ? out_.images : 1);
    const size_t beside = out_.padding * kBlock;
    for (size_t n = image; n < image + (together ? 1 : count); ++n) {
      for (size_t block = 0; block < out_.shape.blocks(); ++block) {
        for (size_t y = 0; y < out_.shape.height; ++y) {
          call.in = run.memory.at(in_, block, y, 0, n);
          call.out = static_cast<uint8_t*>(run.memory.at(out_, block, y, 0, n));
          std::memset(call.out - beside, code_.zero, beside);
          kernels_.quantize(call);
          std::memset(call.out + out_.shape.width * kBlock, code_.zero, beside);
        }
      }
    }
  }

 private:
  const Kernels& kernels_;
  ByteCode code_;
  Place in_, out_;
};

}  // namespace

ByteCode ByteCode::of_range(float low, float high) {
  const double least = std::min(static_cast<double>(low), 0.0);
  const double most = std::max(static_cast<double>(high), 0.0);
  ByteCode code;
  const double scale = (most - least) / 255;
  // The reciprocal of a smaller number may be infinite.
  if (scale < static_cast<double>(FLT_MIN)) return code;
  code.scale = static_cast<float>(scale);
  code.factor = static_cast<float>(1 / scale);
  code.zero = static_cast<int>(std::nearbyint(-least / scale));
  return code;
}

std::unique_ptr<Step> Quantize::place(const Places& places) const {
  return std::make_unique<PlacedQuantize>(places, code);
}

}  // namespace zoo::native
