// A plan file for fake_nvinfer.h, and the images that it generates.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "ops/reparametrized_sample.h"
#include "tests/check.h"

namespace zoo::test {

constexpr size_t kWidth = 8;
constexpr size_t kClasses = 3;
constexpr size_t kValues = 6 * 5;
constexpr uint64_t kSeed = 0x123456789abcdef0;
using Bytes = std::vector<uint8_t>;

// more: further fields of "plan".
inline std::string make_manifest(const std::string& target, const std::string& version,
                                 const std::string& precision, const std::string& more) {
  return R"({"schema": 2, "model": "toy", "role": "generator",
    "image": {"height": 6, "width": 5, "channels": 1, "dtype": "uint8", "layout": "NHWC",
              "range": [0, 255]},
    "latent": {"width": 8, "prior": "normal"}, "condition": {"kind": "classes", "count": 3},
    "noise": {"algorithm": "philox4x32-10", "transform": "box-muller", "streams": {"latent": 2}},
    "precision": ")" +
         precision + R"(", "batch": {"min": 1, "max": 16}, "versions": {"zoo": "0"},
    "plan": {"target": ")" +
         target + R"(", "tensorrt": ")" + version + "\"" + more +
         R"(, "buckets": [1, 4, 16], "fp32_layers": [],
             "inputs": [{"name": "latent", "dtype": "float32", "shape": ["N", 8]},
                        {"name": "label", "dtype": "int64", "shape": ["N"]}],
             "outputs": [{"name": "image", "dtype": "uint8", "shape": ["N", 6, 5, 1]}]}})";
}

// A file in the layout of TensorRT (format/plan_file.cc), with a network for fake_nvinfer.
class Plan {
 public:
  Plan(const std::string& version, const std::string& network,
       const std::string& target = "tensorrt", const std::string& precision = "fp32",
       const std::string& more = "") {
    const std::string body = std::string(40, '\0') +
                             "zoo.manifest:" + make_manifest(target, version, precision, more) +
                             std::string(8, '\0') + network;
    std::string bytes = (target == "tensorrt" ? "ftrt" : "vtrt") + std::string(4, '\0');
    for (const uint64_t number : {uint64_t{2}, uint64_t{24} + body.size()}) {
      for (int i = 0; i < 8; ++i) bytes += static_cast<char>(number >> (8 * i) & 0xff);
    }
    char name[] = "/tmp/zoo-native-XXXXXX.plan";
    const int file = ::mkstemps(name, 5);
    CHECK(file >= 0);
    ::close(file);
    path_ = name;
    std::ofstream(path_, std::ios::binary) << bytes << body;
  }
  Plan(const Plan&) = delete;
  ~Plan() { ::unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline const std::string kNetwork = "toy.network: 8 3 30 3 1 4 16;";

// Computes the images from the noise contract and the definition of the network.
inline Bytes expected(uint64_t first, size_t n) {
  std::vector<float> latents(n * kWidth);
  fill_normal({kSeed, first, 2}, n, kWidth, latents.data());
  Bytes images;
  for (size_t i = 0; i < n; ++i) {
    const auto label = static_cast<double>((first + i) % kClasses);
    for (size_t p = 0; p < kValues; ++p) {
      double level = 128 + 10 * label;
      for (size_t k = 0; k < kWidth; ++k) {
        const int weight = static_cast<int>((7 * p + 13 * k) % 11) - 5;
        level += 5.0 * weight * latents[i * kWidth + k];
      }
      images.push_back(static_cast<uint8_t>(std::clamp(std::floor(level), 0.0, 255.0)));
    }
  }
  return images;
}

}  // namespace zoo::test
