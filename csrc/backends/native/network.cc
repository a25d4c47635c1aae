#include "backends/native/network.h"

#include <algorithm>
#include <cstring>

namespace zoo::native {
namespace {

// Maps of a layer that are to stay in a core's second-level cache, in bytes.
constexpr size_t kCached = 512 * 1024;

// Columns of zeros that the layers from `index` on need in the map that they are given.
size_t padding_from(const Network& network, size_t index) {
  for (size_t i = index; i < network.layers.size(); ++i) {
    if (const auto* products = std::get_if<Products>(&network.layers[i])) {
      return products->padding();
    }
    if (!std::holds_alternative<PixelNorm>(network.layers[i])) break;
  }
  return 0;
}

bool fits(const Products& layer, size_t images) {
  const size_t floats =
      make_place(layer.in, true, images, 0).size() + make_place(layer.out, true, images, 0).size();
  return floats * sizeof(float) <= kCached;
}

size_t largest_grouped(const Network& network, size_t images) {
  size_t most = 0;
  for (const Layer& layer : network.layers) {
    const auto* products = std::get_if<Products>(&layer);
    if (products && fits(*products, images)) {
      most = std::max(most, make_place(products->out, true, images, 0).size());
    }
  }
  return most;
}

size_t bytes_of(const Network& network) {
  const auto size = [](const Shape& shape, const Finish& finish) {
    return shape.channels * shape.pixels() * (finish.levels ? 1 : sizeof(float));
  };
  const Layer& last = network.layers.back();
  if (const auto* layer = std::get_if<LastLayer>(&last)) return size(layer->out, layer->finish);
  const auto& dense = std::get<DenseImage>(last);
  return size(dense.image, dense.finish);
}

}  // namespace

Plan::Plan(const Network& network, size_t images) : network_(network), images_(images) {
  image_bytes_ = bytes_of(network);
  const bool grouped = images > 1;
  input_ = make_place(network.shape, grouped, images, grouped ? 0 : padding_from(network, 0));
  input_.offset = reserve(input_.size());
  if (grouped) {
    for (size_t& buffer : buffers_) buffer = reserve(largest_grouped(network, images));
  }
  place_layers();
}

size_t Plan::reserve(size_t floats) {
  const size_t offset = memory_;
  memory_ += (floats + kBlock - 1) / kBlock * kBlock;
  return offset;
}

Place Plan::place_output(const Products& layer, const Place& in, size_t index) {
  if (in.grouped && fits(layer, images_)) {
    Place out = make_place(layer.out, true, images_, 0);
    out.offset = buffers_[turn_++ % 2];
    return out;
  }
  // The layer that leaves group mode has all images of the group, those after it one at a time.
  Place out =
      make_place(layer.out, false, in.grouped ? images_ : 1, padding_from(network_, index + 1));
  out.offset = reserve(out.size());
  if (!in.grouped) out.image = 0;
  return out;
}

void Plan::place_layers() {
  Place in = input_;
  bool apart = !in.grouped;
  for (size_t index = 0; index < network_.layers.size(); ++index) {
    const Layer& layer = network_.layers[index];
    if (const auto* products = std::get_if<Products>(&layer)) {
      const Place out = place_output(*products, in, index);
      steps_.emplace_back(std::in_place_type<PlacedProducts>, *products, in, out);
      if (!apart && !out.grouped) {
        apart = true;
        apart_ = steps_.size();
      }
      in = out;
    } else if (const auto* norm = std::get_if<PixelNorm>(&layer)) {
      steps_.emplace_back(Norm{norm, in});
    } else if (const auto* last = std::get_if<LastLayer>(&layer)) {
      const size_t scratch = reserve(PlacedLastLayer::scratch_size(*last, in));
      steps_.emplace_back(std::in_place_type<PlacedLastLayer>, *last, in, scratch);
    } else {
      const auto& dense = std::get<DenseImage>(layer);
      steps_.emplace_back(Dense{&dense, in, reserve(dense_image_scratch(dense))});
    }
  }
  if (!apart) apart_ = steps_.size();
}

void Plan::read(const Rows& rows, size_t first, size_t count, float* memory) const {
  float* const to = memory + input_.offset;
  const size_t pixels = network_.shape.pixels(), width = network_.shape.width;
  size_t begin = 0;
  for (const Source& source : network_.sources) {
    const void* const data = rows.at(source.name);
    for (size_t n = 0; n < count; ++n) {
      const size_t row = first + n;
      for (size_t k = 0; k < source.width; ++k) {
        const size_t channel = (begin + k) / pixels, pixel = (begin + k) % pixels;
        const float value =
            source.classes
                ? (static_cast<const int64_t*>(data)[row] == static_cast<int64_t>(k) ? 1.0f : 0.0f)
                : static_cast<const float*>(data)[row * source.width + k];
        to[channel / kBlock * input_.block + input_.at(pixel / width, pixel % width, n) +
           channel % kBlock] = value;
      }
    }
    begin += source.width;
  }
}

void Plan::run_step(const Step& step, size_t image, size_t count, float* memory, void* out) const {
  if (const auto* products = std::get_if<PlacedProducts>(&step)) {
    products->run(memory, image);
  } else if (const auto* last = std::get_if<PlacedLastLayer>(&step)) {
    last->run(memory, image, count, out);
  } else if (const auto* norm = std::get_if<Norm>(&step)) {
    const Place& place = norm->place;
    float* const map = memory + place.offset + (place.grouped ? 0 : image * place.image);
    kernels().pixel_norm(map, map, place.block, place.shape.blocks(),
                         place.shape.height * place.row / kBlock, norm->layer->scale,
                         norm->layer->epsilon);
  } else {
    const auto& dense = std::get<Dense>(step);
    run_dense_image(*dense.layer, dense.place, memory, image, count, memory + dense.scratch, out);
  }
}

void Plan::run(const Rows& rows, size_t first, size_t count, float* memory, void* out) const {
  read(rows, first, count, memory);
  auto* const bytes = static_cast<uint8_t*>(out) + first * image_bytes_;
  for (size_t i = 0; i < apart_; ++i) run_step(steps_[i], 0, count, memory, bytes);
  if (apart_ == steps_.size()) return;
  for (size_t n = 0; n < count; ++n) {
    for (size_t i = apart_; i < steps_.size(); ++i) {
      run_step(steps_[i], n, 1, memory, bytes + n * image_bytes_);
    }
  }
}

}  // namespace zoo::native
