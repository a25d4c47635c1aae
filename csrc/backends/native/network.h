// A network of layers with packed weights, which all instances of a backend share, and the plan by
// which some images go through it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "backends/native/last_layer.h"

namespace zoo::native {

// Vectors that go in, one beside the other: floats [N, width], or the class of each image, int64
// [N], as `width` numbers of which one is 1 and the others are 0.
struct Source {
  std::string name;
  size_t width;
  bool classes = false;
};

// x / √(mean of x² over the channels + epsilon), in place.
struct PixelNorm {
  Shape shape;
  float scale;  // 1 / channels
  float epsilon;
};

// The vector so far is w, for the layers after it; brought closer to its mean first (Karras et al.
// 2019, appendix B) by the factor of that name, unless it is empty.
struct Styles {
  std::string truncation;
  std::vector<float> mean;
};

// The map so far is put aside; a learned one, the same for every image, takes its place.
struct LearnedMap {
  Shape shape;
  std::vector<float> values;  // [C, H, W]
};

// What follows a convolution in a style-based network (StyleCall).
struct StyleLayer {
  Shape shape;
  Floats blur;  // [channels / 16][9][16]; empty: none
  Floats bias;  // [channels], padded
  Floats strength;
  Products affine;    // w to deviations and means, [2 · channels, padded each]
  std::string noise;  // name of its rows
  float slope;
  float epsilon;
};

using Layer =
    std::variant<Products, PixelNorm, Styles, LearnedMap, StyleLayer, LastLayer, DenseImage>;

// Layers one after the other. Of a style-based network those that make the styles, before its
// learned map, compute in floats in every precision: a style is worth more than a pixel.
struct Network {
  std::vector<Source> sources;
  std::string noise_scale;  // name of the factor of all noise; empty: 1
  Shape shape;              // of the map that they are
  std::vector<Layer> layers;

  // Layers that make styles; 0: not style-based.
  size_t style_layers() const;

  // Brings the weights into the form that these kernels read; once, before plans are made. `wide`
  // are those of floats.
  void pack(const Kernels& kernels, const Kernels& wide);
};

// Pointers to the rows of a run, by name.
using Rows = std::map<std::string, const void*>;

// What `images` images at a time are computed with: where their maps lie, in which tiles. A run
// of fewer computes the others too, from zeros.
class Plan {
 public:
  Plan(const Kernels& kernels, const Kernels& wide, const Network& network, size_t images);

  size_t images() const { return images_; }

  // Bytes of maps, and floats, that an instance needs; zeros to begin with.
  size_t maps() const { return elements_ * kernels_.element; }
  size_t floats() const { return floats_; }

  // Rows first … first + count - 1, count ≤ images(), to the same of `out`, in the memory of an
  // instance.
  void run(const Rows& rows, size_t first, size_t count, unsigned char* maps, float* floats,
           void* out) const;

 private:
  struct Norm {
    const PixelNorm* layer;
    Place place;
  };
  struct Dense {
    const DenseImage* layer;
    Place place;
    size_t scratch;
  };
  struct Style {
    const StyleLayer* layer;
    Place styles;  // deviations and means
    Place in;
    Place out;
  };
  struct Truncate {
    const Styles* layer;
    Place in;
    Place out;
  };
  struct Learned {
    const LearnedMap* layer;
    Place place;
  };
  using Step = std::variant<PlacedProducts, Norm, Truncate, Learned, Style, PlacedLastLayer, Dense>;

  // What a run's steps have in common.
  struct Run {
    const Rows& rows;
    size_t first;
    Memory memory;
  };

  void place_layers();
  void place_styles(const Styles& layer, const Place& in);
  Place place_learned(const LearnedMap& layer, const Place& in, size_t index);
  Place place_style(const StyleLayer& layer, const Place& in, size_t index);
  Place place_output(const Products& layer, const Place& in, size_t index);
  void read(const Run& run, size_t count) const;
  void fill(const Run& run, const Learned& step, size_t image, size_t count) const;
  void run_step(const Run& run, const Step& step, size_t image, size_t count, void* out) const;
  void run_style(const Run& run, const Style& style, size_t image, size_t count) const;
  void run_truncate(const Run& run, const Truncate& step, size_t image, size_t count) const;
  const Kernels& kernels_of(const Place& place) const { return place.wide ? wide_ : kernels_; }
  size_t reserve(size_t count, bool wide = false);

  const Kernels& kernels_;
  const Kernels& wide_;
  const Network& network_;
  size_t images_;
  Place input_;
  size_t elements_ = 0;
  size_t floats_ = 0;
  size_t buffers_[2] = {0, 0};  // that grouped maps take in turns
  size_t turn_ = 0;
  std::map<const StyleLayer*, Place> styles_;
  std::vector<Step> steps_;
  size_t apart_ = 0;  // steps from here on are for one image at a time
  size_t image_bytes_ = 0;
};

}  // namespace zoo::native
