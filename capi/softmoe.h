#ifndef SOFTMOE_CAPI_SOFTMOE_H_
#define SOFTMOE_CAPI_SOFTMOE_H_
/* Predictions of a trained model from C, and from whatever calls C: load, predict, free.

   Functions that can fail say so by their result and leave one line in softmoe_last_error(), which
   belongs to the calling thread. A model may be used by several threads; its calls take turns.
   Settings of the calling program stay as they are: libtorch's number of threads is as before after
   each call, and so is its allocator. */

#include <stdint.h>

#if defined(_WIN32)
#define SOFTMOE_API
#else
#define SOFTMOE_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* A model with the way in which its images are prepared. */
typedef struct softmoe_model softmoe_model;

/* How a model computes. A null pointer instead of one of the texts, or 0, means the default. */
typedef struct softmoe_options {
  const char* device; /* "auto" (default), "cpu", "cuda" or "cuda:<index>" */
  const char* dtype;  /* as `softmoe predict --amp-dtype`: "auto" (default), "float32", .. */
  int32_t threads;    /* that compute while a function works on this model; 0: one a core */
  int32_t batch_size; /* images that are computed together; 0: 32 */
} softmoe_options;

/* What a model takes and gives. */
typedef struct softmoe_shape {
  int64_t height; /* of images in the model's own size, in pixels */
  int64_t width;
  int64_t channels;
  int64_t classes;     /* 0: no head */
  int64_t feature_dim; /* numbers of a feature vector */
} softmoe_shape;

/* "0.1.0" */
SOFTMOE_API const char* softmoe_version(void);

/* Why the last call of this thread failed: one line; "" where none did. */
SOFTMOE_API const char* softmoe_last_error(void);

/* Reads the checkpoint at `path`: as training saved it, or any file or folder that `softmoe convert`
   reads. `options` may be null. Null where that fails. */
SOFTMOE_API softmoe_model* softmoe_load(const char* path, const softmoe_options* options);

/* Ends a model; null is fine. */
SOFTMOE_API void softmoe_free(softmoe_model* model);

/* All 0 for a null pointer. */
SOFTMOE_API softmoe_shape softmoe_model_shape(const softmoe_model* model);

/* The name of class `label`, which lives as long as the model; null outside of [0, classes), and
   for a null pointer. */
SOFTMOE_API const char* softmoe_class_name(const softmoe_model* model, int64_t label);

/* Of `count` images: `logits` [count, classes] and `features` [count, feature_dim], each of which
   may be null. Both return 0, or -1 where something is wrong; nothing is written then. */

/* `pixels` [count, height, width, channels] of any size and 1 or 3 channels, 0 to 255: prepared as
   the model's checkpoint says (resized, cropped, normalised). */
SOFTMOE_API int softmoe_predict_pixels(softmoe_model* model, const uint8_t* pixels, int64_t count,
                                       int64_t height, int64_t width, int64_t channels,
                                       float* logits, float* features);

/* `images` [count, height, width, channels] in the model's own size and range. */
SOFTMOE_API int softmoe_predict(softmoe_model* model, const float* images, int64_t count,
                                float* logits, float* features);

#ifdef __cplusplus
}
#endif
#endif /* SOFTMOE_CAPI_SOFTMOE_H_ */
