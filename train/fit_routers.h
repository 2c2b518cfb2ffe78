#pragma once
/// Routers that learn from a sample of the training set before training.

#include "datasets/dataset.h"
#include "datasets/loader.h"
#include "datasets/transforms.h"
#include "vit/vision_transformer.h"

namespace softmoe {

/// The first `count` images of `train_set` in the order that `loader`'s seed gives, or all if there
/// are fewer, preprocessed as for evaluation: [images, channels, height, width]. Throws what
/// Loader::next() throws.
torch::Tensor sample_images(const Dataset& train_set, const PreprocessOptions& preprocess,
                            LoaderOptions loader, int64_t count);

/// Gives the routers of `model` a sample of `train_set`: the first 2,048 images in the order that
/// `loader`'s seed gives, preprocessed as for evaluation. The sample is smaller if the set is, or
/// if it would take more than 256 MiB. Returns the number of images. Throws what Loader::next()
/// throws.
int64_t fit_routers(VisionTransformer model, const Dataset& train_set,
                    const PreprocessOptions& preprocess, LoaderOptions loader);

}  // namespace softmoe
