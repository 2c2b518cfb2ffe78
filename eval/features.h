#pragma once
/// Features of a data set's images.

#include <string>

#include "eval/batch_loop.h"
#include "eval/feature_set.h"

namespace softmoe {

/// The outputs of `forward` for the images of `loader`, in its order, as float32 on the CPU, with
/// their labels; `name` is the name of the result. Throws InputError for features that are not
/// finite.
FeatureSet extract_features(const Forward& forward, Loader& loader, const std::string& name,
                            const BatchLoopOptions& options);

/// The images themselves as features [batch, channels * height * width]: a baseline for models.
torch::Tensor pixel_features(const torch::Tensor& images);

}  // namespace softmoe
