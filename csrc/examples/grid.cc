// Writes a grid of samples as a PGM or PPM picture:
//   grid ENGINE OUT [ROWS [SEED]]
// ENGINE is an .onnx file, or a TensorRT plan (docs/tensorrt.md) on a machine with an NVIDIA GPU.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <string>

#include "zoo/engine.h"

int main(int argc, char** argv) try {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s ENGINE OUT.pgm [ROWS [SEED]]\n", argv[0]);
    return 2;
  }
  const size_t rows = argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 8;
  const uint64_t seed = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 0;

  const zoo::Generator generator(argv[1]);
  const auto images = generator.sample(rows * rows, seed);

  const zoo::ImageFormat& image = generator.manifest().image;
  const size_t line = image.width * image.channels;
  std::ofstream out(argv[2], std::ios::binary);
  out << (image.channels == 1 ? "P5 " : "P6 ") << rows * image.width << " " << rows * image.height
      << " 255\n";
  for (size_t y = 0; y < rows * image.height; ++y) {
    for (size_t column = 0; column < rows; ++column) {
      const size_t index = y / image.height * rows + column;
      const size_t offset = index * image.bytes() + y % image.height * line;
      out.write(reinterpret_cast<const char*>(images.data() + offset),
                static_cast<std::streamsize>(line));
    }
  }
  if (!out.flush()) throw std::runtime_error(std::string("cannot write ") + argv[2]);
  std::printf("%zu images by %s in %s\n", rows * rows, generator.backend().c_str(), argv[2]);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return 2;
}
