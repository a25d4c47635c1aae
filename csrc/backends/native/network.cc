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
    const auto* style = std::get_if<StyleLayer>(&network.layers[i]);
    const bool same =
        style ? style->blur.empty() : std::holds_alternative<PixelNorm>(network.layers[i]);
    if (!same) break;
  }
  return 0;
}

bool fits(const Products& layer, size_t images, size_t element) {
  const size_t elements =
      make_place(layer.in, true, images, 0).size() + make_place(layer.out, true, images, 0).size();
  return elements * element <= kCached;
}

size_t largest_grouped(const Network& network, size_t images, size_t element) {
  size_t most = 0;
  for (const Layer& layer : network.layers) {
    const auto* products = std::get_if<Products>(&layer);
    if (products && fits(*products, images, element)) {
      most = std::max(most, make_place(products->out, true, images, 0).size());
    }
    if (const auto* learned = std::get_if<LearnedMap>(&layer)) {
      most = std::max(most, make_place(learned->shape, true, images, 0).size());
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

size_t Network::style_layers() const {
  for (size_t i = 0; i < layers.size(); ++i) {
    if (std::holds_alternative<LearnedMap>(layers[i])) return i;
  }
  return 0;
}

void Network::pack(const Kernels& kernels, const Kernels& wide) {
  for (size_t i = 0; i < layers.size(); ++i) {
    Layer& layer = layers[i];
    if (auto* products = std::get_if<Products>(&layer)) {
      products->pack(i < style_layers() ? wide : kernels);
    }
    if (auto* style = std::get_if<StyleLayer>(&layer)) style->affine.pack(wide);
    if (auto* last = std::get_if<LastLayer>(&layer)) last->products.pack(kernels);
  }
}

Plan::Plan(const Kernels& kernels, const Kernels& wide, const Network& network, size_t images)
    : kernels_(kernels), wide_(wide), network_(network), images_(images) {
  image_bytes_ = bytes_of(network);
  const bool grouped = images > 1;
  input_ = make_place(network.shape, grouped, images, grouped ? 0 : padding_from(network, 0));
  input_.wide = network.style_layers() != 0;
  input_.offset = reserve(input_.size(), input_.wide);
  if (grouped) {
    for (size_t& buffer : buffers_)
      buffer = reserve(largest_grouped(network, images, kernels.element));
  }
  place_layers();
}

size_t Plan::reserve(size_t count, bool wide) {
  size_t& end = wide ? floats_ : elements_;
  const size_t offset = end;
  end += (count + kBlock - 1) / kBlock * kBlock;
  return offset;
}

Place Plan::place_output(const Products& layer, const Place& in, size_t index) {
  if (in.wide) {
    Place out = make_place(layer.out, in.grouped, in.images, 0);
    out.wide = true;
    out.offset = reserve(out.size(), true);
    return out;
  }
  if (in.grouped && fits(layer, images_, kernels_.element)) {
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
      steps_.emplace_back(std::in_place_type<PlacedProducts>, kernels_of(in), *products, in, out);
      if (!apart && !out.grouped) {
        apart = true;
        apart_ = steps_.size();
      }
      in = out;
    } else if (const auto* norm = std::get_if<PixelNorm>(&layer)) {
      steps_.emplace_back(Norm{norm, in});
    } else if (const auto* styles = std::get_if<Styles>(&layer)) {
      place_styles(*styles, in);
    } else if (const auto* learned = std::get_if<LearnedMap>(&layer)) {
      in = place_learned(*learned, in, index);
    } else if (const auto* style = std::get_if<StyleLayer>(&layer)) {
      in = place_style(*style, in, index);
    } else if (const auto* last = std::get_if<LastLayer>(&layer)) {
      const size_t scratch = reserve(PlacedLastLayer::scratch_size(*last, in), true);
      steps_.emplace_back(std::in_place_type<PlacedLastLayer>, kernels_, *last, in, scratch);
    } else {
      const auto& dense = std::get<DenseImage>(layer);
      steps_.emplace_back(Dense{&dense, in, reserve(dense_image_scratch(dense), true)});
    }
  }
  if (!apart) apart_ = steps_.size();
}

// The styles of all layers are computed at once, while the images are together.
void Plan::place_styles(const Styles& layer, const Place& in) {
  Place kept = make_place(in.shape, in.grouped, in.images, 0);
  kept.wide = true;
  kept.offset = reserve(kept.size(), true);
  steps_.emplace_back(Truncate{&layer, in, kept});
  for (const Layer& other : network_.layers) {
    const auto* style = std::get_if<StyleLayer>(&other);
    if (!style) continue;
    Place made = make_place(style->affine.out, in.grouped, in.images, 0);
    made.wide = true;
    made.offset = reserve(made.size(), true);
    steps_.emplace_back(std::in_place_type<PlacedProducts>, wide_, style->affine, kept, made);
    styles_.emplace(style, made);
  }
}

Place Plan::place_learned(const LearnedMap& layer, const Place& in, size_t index) {
  const size_t padding = padding_from(network_, index + 1);
  Place place = make_place(layer.shape, in.grouped, in.images, padding);
  place.offset = in.grouped ? buffers_[turn_++ % 2] : reserve(place.size());
  steps_.emplace_back(Learned{&layer, place});
  return place;
}

Place Plan::place_style(const StyleLayer& layer, const Place& in, size_t index) {
  Place out = in;
  if (!layer.blur.empty()) {
    out = make_place(layer.shape, in.grouped, in.grouped ? images_ : 1,
                     padding_from(network_, index + 1));
    out.offset = in.grouped ? buffers_[turn_++ % 2] : reserve(out.size());
    if (!in.grouped) out.image = 0;
  }
  steps_.emplace_back(Style{&layer, styles_.at(&layer), in, out});
  return out;
}

void Plan::read(const Run& run, size_t count) const {
  const Shape& shape = network_.shape;
  const size_t pixels = shape.pixels();
  std::vector<const void*> data;
  for (const Source& source : network_.sources) data.push_back(run.rows.at(source.name));
  // Number k of a row, all sources side by side.
  const auto number = [&](size_t row, size_t k) {
    for (size_t i = 0; i < data.size(); ++i) {
      const Source& source = network_.sources[i];
      if (k >= source.width) {
        k -= source.width;
      } else if (source.classes) {
        return static_cast<const int64_t*>(data[i])[row] == static_cast<int64_t>(k) ? 1.0f : 0.0f;
      } else {
        return static_cast<const float*>(data[i])[row * source.width + k];
      }
    }
    return 0.0f;
  };
  for (size_t n = 0; n < count; ++n) {
    for (size_t block = 0; block < shape.blocks(); ++block) {
      for (size_t p = 0; p < pixels; ++p) {
        float values[kBlock] = {};
        for (size_t c = block * kBlock; c < std::min(shape.channels, (block + 1) * kBlock); ++c) {
          values[c % kBlock] = number(run.first + n, c * pixels + p);
        }
        const size_t pixel = input_.at(p / shape.width, p % shape.width, n);
        kernels_of(input_).store(values, run.memory.at(input_, block * input_.block + pixel));
      }
    }
  }
}

namespace {

float factor(const Rows& rows, const std::string& name) {
  return name.empty() ? 1.0f : *static_cast<const float*>(rows.at(name));
}

}  // namespace

void Plan::fill(const Run& run, const Learned& step, size_t image, size_t count) const {
  const Shape& shape = step.layer->shape;
  const Place& place = step.place;
  for (size_t block = 0; block < shape.blocks(); ++block) {
    for (size_t p = 0; p < shape.pixels(); ++p) {
      float values[kBlock] = {};
      for (size_t c = block * kBlock; c < std::min(shape.channels, (block + 1) * kBlock); ++c) {
        values[c % kBlock] = step.layer->values[c * shape.pixels() + p];
      }
      for (size_t n = image; n < image + count; ++n) {
        const size_t pixel = place.at(p / shape.width, p % shape.width, n);
        kernels_.store(values, run.memory.at(place, block * place.block + pixel));
      }
    }
  }
}

void Plan::run_truncate(const Run& run, const Truncate& step, size_t image, size_t count) const {
  const float psi = factor(run.rows, step.layer->truncation);
  const std::vector<float>& mean = step.layer->mean;
  for (size_t n = image; n < image + count; ++n) {
    for (size_t block = 0; block < step.in.shape.blocks(); ++block) {
      // Both are floats.
      const auto* const from = static_cast<const float*>(
          run.memory.at(step.in, step.in.at(0, 0, n) + block * step.in.block));
      auto* const to = static_cast<float*>(
          run.memory.at(step.out, step.out.at(0, 0, n) + block * step.out.block));
      std::copy_n(from, kBlock, to);
      for (size_t c = block * kBlock; c < std::min(mean.size(), (block + 1) * kBlock); ++c) {
        to[c % kBlock] = mean[c] + psi * (to[c % kBlock] - mean[c]);
      }
    }
  }
}

void Plan::run_style(const Run& run, const Style& style, size_t image, size_t count) const {
  const StyleLayer& layer = *style.layer;
  const Shape& shape = layer.shape;
  const auto* const noise = static_cast<const float*>(run.rows.at(layer.noise));
  StyleCall call{};
  call.in_row = style.in.row;
  call.in_column = style.in.column;
  call.out_row = style.out.row;
  call.out_column = style.out.column;
  call.height = shape.height;
  call.width = shape.width;
  call.noise_scale = factor(run.rows, network_.noise_scale);
  call.slope = layer.slope;
  call.epsilon = layer.epsilon;
  const auto at = [&](const Place& place, size_t n, size_t block) {
    return run.memory.at(place, place.at(0, 0, n) + block * place.block);
  };
  for (size_t n = image; n < image + count; ++n) {
    call.noise = noise + (run.first + n) * shape.pixels();
    for (size_t block = 0; block < shape.blocks(); ++block) {
      const size_t channel = block * kBlock;
      call.in = at(style.in, n, block);
      call.out = at(style.out, n, block);
      call.blur = layer.blur.empty() ? nullptr : layer.blur.data() + 9 * channel;
      call.bias = layer.bias.data() + channel;
      call.strength = layer.strength.data() + channel;
      call.scale = static_cast<const float*>(at(style.styles, n, block));
      call.shift = static_cast<const float*>(at(style.styles, n, block + shape.blocks()));
      kernels_.style(call);
    }
  }
}

void Plan::run_step(const Run& run, const Step& step, size_t image, size_t count, void* out) const {
  const Memory& memory = run.memory;
  if (const auto* products = std::get_if<PlacedProducts>(&step)) {
    products->run(memory, image);
  } else if (const auto* last = std::get_if<PlacedLastLayer>(&step)) {
    last->run(memory, image, count, out);
  } else if (const auto* norm = std::get_if<Norm>(&step)) {
    const Place& place = norm->place;
    kernels_of(place).pixel_norm(memory.at(place, place.grouped ? 0 : image * place.image),
                                 place.block, place.shape.blocks(),
                                 place.shape.height * place.row / kBlock, norm->layer->scale,
                                 norm->layer->epsilon);
  } else if (const auto* truncate = std::get_if<Truncate>(&step)) {
    run_truncate(run, *truncate, image, count);
  } else if (const auto* learned = std::get_if<Learned>(&step)) {
    fill(run, *learned, image, count);
  } else if (const auto* style = std::get_if<Style>(&step)) {
    run_style(run, *style, image, count);
  } else {
    const auto& dense = std::get<Dense>(step);
    run_dense_image(kernels_, *dense.layer, dense.place, memory, image, count, dense.scratch, out);
  }
}

void Plan::run(const Rows& rows, size_t first, size_t count, unsigned char* maps, float* floats,
               void* out) const {
  const Run run{rows, first, {maps, kernels_.element, floats}};
  read(run, count);
  auto* const bytes = static_cast<uint8_t*>(out) + first * image_bytes_;
  for (size_t i = 0; i < apart_; ++i) run_step(run, steps_[i], 0, count, bytes);
  if (apart_ == steps_.size()) return;
  for (size_t n = 0; n < count; ++n) {
    for (size_t i = apart_; i < steps_.size(); ++i) {
      run_step(run, steps_[i], n, 1, bytes + n * image_bytes_);
    }
  }
}

}  // namespace zoo::native
