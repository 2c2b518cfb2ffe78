#ifndef SOFTMOE_CAPI_SOFTMOE_H_
#define SOFTMOE_CAPI_SOFTMOE_H_
/* Predictions of a trained model from C, and from other languages that call C: load, predict, free.

   Functions that can fail report that by their result and leave one line in softmoe_last_error(),
   which belongs to the calling thread. Several threads may use a model; its calls take turns. The
   settings of the calling program do not change: each call restores libtorch's number of threads,
   and the allocator stays the same. */

#include <stdint.h>

#if defined(_WIN32)
#define SOFTMOE_API
#else
#define SOFTMOE_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* A model with the preprocessing of its images. */
typedef struct softmoe_model softmoe_model;

/* How a model computes. A null pointer instead of one of the texts, or 0, means the default. */
typedef struct softmoe_options {
  const char* device; /* "auto" (default), "cpu", "cuda" or "cuda:<index>" */
  const char* dtype;  /* "auto" (default), "float32", "bfloat16", "int8" or "int8_experts" */
  int32_t threads;    /* that compute during a call; 0: one per core */
  int32_t batch_size; /* images that are computed together; 0: 32 */
} softmoe_options;

/* The sizes of what a model takes and gives. */
typedef struct softmoe_shape {
  int64_t height; /* of images in the model's own size, in pixels */
  int64_t width;
  int64_t channels;
  int64_t classes;     /* 0: no head */
  int64_t feature_dim; /* numbers in a feature vector */
} softmoe_shape;

/* The version of the library, such as "0.1.0". */
SOFTMOE_API const char* softmoe_version(void);

/* Why the last call of this thread failed, in one line; "" if it did not fail. */
SOFTMOE_API const char* softmoe_last_error(void);

/* Reads the checkpoint at `path`: a file of training, or any file or folder that `softmoe convert`
   reads. `options` may be null. Returns null if that fails. */
SOFTMOE_API softmoe_model* softmoe_load(const char* path, const softmoe_options* options);

/* Frees a model; null is allowed. */
SOFTMOE_API void softmoe_free(softmoe_model* model);

/* The sizes of a model; all 0 for a null pointer. */
SOFTMOE_API softmoe_shape softmoe_model_shape(const softmoe_model* model);

/* The name of class `label`, which lives as long as the model. Null if `label` is outside of
   [0, classes), and for a null pointer. */
SOFTMOE_API const char* softmoe_class_name(const softmoe_model* model, int64_t label);

/* The two functions below write `logits` [count, classes] and `features` [count, feature_dim] of
   `count` images; each of the two may be null. They return 0, or -1 after an error; then nothing is
   written. */

/* Takes `pixels` [count, height, width, channels] of any size and 1 or 3 channels, 0 to 255, which
   are prepared as the checkpoint says (resized, cropped, normalised). */
SOFTMOE_API int softmoe_predict_pixels(softmoe_model* model, const uint8_t* pixels, int64_t count,
                                       int64_t height, int64_t width, int64_t channels,
                                       float* logits, float* features);

/* Takes `images` [count, height, width, channels] in the model's own size and range. */
SOFTMOE_API int softmoe_predict(softmoe_model* model, const float* images, int64_t count,
                                float* logits, float* features);

#ifdef __cplusplus
}
#endif
#endif /* SOFTMOE_CAPI_SOFTMOE_H_ */
