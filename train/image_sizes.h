#pragma once
/// Training images that grow during a run: early updates on small images take less time. Source:
/// Tan and Le, arXiv:2104.00298, section 4, of progressive learning the sizes alone.

#include <cstdint>
#include <string>
#include <vector>

#include "datasets/preprocess_options.h"
#include "train/train_options.h"
#include "vit/vision_transformer.h"

namespace softmoe {

/// Square training images of one size, until the next stage begins.
struct ImageSizeStage {
  int64_t size = 0;   ///< pixels of an edge
  double from = 0.0;  ///< share of the run before it
};

/// The stages of `options.image_size_schedule`, such as "128@0,160@0.4,224@0.8", for a model of
/// `model`; none if it is empty. Throws UsageError for other texts, if the first stage does not
/// begin at 0 or the shares do not grow, for sizes that are not multiples of the patch size or
/// above that of the model, which the last stage must have, for models of images that are not
/// square, and for runs that are limited in time, whose shares are not known.
std::vector<ImageSizeStage> image_size_stages(const TrainOptions& options, const VitOptions& model);

/// The size of the images of the update that follows `step` of `total` updates.
int64_t image_size_at(const std::vector<ImageSizeStage>& stages, int64_t step, int64_t total);

/// `options` for square images of `size`, cropped as before.
PreprocessOptions with_image_size(PreprocessOptions options, int64_t size);

/// Lets `model` take images of the sizes, if there are any. Throws UsageError if it cannot: some
/// routers are made for a number of tokens.
void try_image_sizes(VisionTransformer model, const std::vector<ImageSizeStage>& stages);

}  // namespace softmoe
