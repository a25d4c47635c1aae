/* Writes a grid of samples as a PGM or PPM picture, by the C API:
 *   sample ENGINE OUT [ROWS [SEED]]
 */
#include <stdio.h>
#include <stdlib.h>

#include "zoo.h"

static int fail(const char* what, zoo_status status) {
  fprintf(stderr, "%s: %s: %s\n", what, zoo_status_name(status), zoo_error_message());
  return 2;
}

static int write_grid(const char* path, const unsigned char* images, const zoo_image_format* image,
                      size_t rows) {
  const size_t line = image->width * image->channels;
  FILE* const out = fopen(path, "wb");
  if (!out) return -1;
  fprintf(out, "P%d %zu %zu 255\n", image->channels == 1 ? 5 : 6, rows * image->width,
          rows * image->height);
  for (size_t y = 0; y < rows * image->height; ++y) {
    for (size_t column = 0; column < rows; ++column) {
      const size_t index = y / image->height * rows + column;
      fwrite(images + index * image->bytes + y % image->height * line, 1, line, out);
    }
  }
  const int failed = ferror(out);
  return fclose(out) || failed ? -1 : 0;
}

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: %s ENGINE OUT.ppm [ROWS [SEED]]\n", argv[0]);
    return 2;
  }
  const size_t rows = argc > 3 ? strtoul(argv[3], NULL, 10) : 8;

  zoo_engine* engine = NULL;
  zoo_status status = zoo_engine_open(argv[1], NULL, &engine);
  if (status != ZOO_OK) return fail(argv[1], status);
  zoo_description description = {.size = sizeof description};
  status = zoo_engine_describe(engine, &description);
  if (status != ZOO_OK) return fail(argv[1], status);

  const zoo_sample_request request = {
      .size = sizeof request,
      .n = rows * rows,
      .seed = argc > 4 ? strtoull(argv[4], NULL, 10) : 0,
  };
  const size_t bytes = request.n * description.image.bytes;
  unsigned char* const images = malloc(bytes);
  status = images ? zoo_sample(engine, &request, images, bytes) : ZOO_OUT_OF_MEMORY_ERROR;
  if (status != ZOO_OK) return fail(argv[1], status);
  if (write_grid(argv[2], images, &description.image, rows) != 0) {
    perror(argv[2]);
    return 2;
  }
  printf("%zu images by %s %s in %s\n", (size_t)request.n, description.backend, zoo_version(),
         argv[2]);
  free(images);
  zoo_engine_free(engine);
  return 0;
}
