/* A C program that uses the library: the best class and all logits of raw images.

   usage: example CHECKPOINT PIXELS COUNT HEIGHT WIDTH CHANNELS */

#include <inttypes.h>
#include <softmoe.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(const char* what) {
  fprintf(stderr, "%s\n", what);
  return 1;
}

static uint8_t* read_pixels(const char* path, size_t bytes) {
  FILE* const file = fopen(path, "rb");
  uint8_t* const pixels = malloc(bytes + 1);
  const size_t count = file == NULL || pixels == NULL ? 0 : fread(pixels, 1, bytes + 1, file);
  if (file != NULL) {
    fclose(file);
  }
  if (count != bytes) {
    free(pixels);
    return NULL;
  }
  return pixels;
}

static void print_image(const softmoe_model* model, const float* logits, int64_t classes) {
  int64_t best = 0;
  for (int64_t label = 1; label < classes; ++label) {
    best = logits[label] > logits[best] ? label : best;
  }
  printf("%s", softmoe_class_name(model, best));
  for (int64_t label = 0; label < classes; ++label) {
    printf(" %.9g", logits[label]);
  }
  printf("\n");
}

int main(int argc, char** argv) {
  if (argc != 7) {
    return fail("usage: example CHECKPOINT PIXELS COUNT HEIGHT WIDTH CHANNELS");
  }
  const softmoe_options options = {.device = "cpu", .dtype = "float32"};
  softmoe_model* const model = softmoe_load(argv[1], &options);
  if (model == NULL) {
    return fail(softmoe_last_error());
  }
  const int64_t count = atoll(argv[3]);
  const int64_t height = atoll(argv[4]);
  const int64_t width = atoll(argv[5]);
  const int64_t channels = atoll(argv[6]);
  const softmoe_shape shape = softmoe_model_shape(model);
  uint8_t* const pixels = read_pixels(argv[2], (size_t)(count * height * width * channels));
  float* const logits = malloc((size_t)(count * shape.classes) * sizeof(float));
  if (pixels == NULL || logits == NULL) {
    return fail("the file of pixels has another size");
  }
  const int status = softmoe_predict_pixels(model, pixels, count, height, width, channels, logits,
                                            /*features=*/NULL);
  if (status != 0) {
    fprintf(stderr, "%s\n", softmoe_last_error());
  } else {
    for (int64_t image = 0; image < count; ++image) {
      print_image(model, logits + image * shape.classes, shape.classes);
    }
  }
  free(logits);
  free(pixels);
  softmoe_free(model);
  return status == 0 ? 0 : 1;
}
