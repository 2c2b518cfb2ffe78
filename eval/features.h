#pragma once
/// Features of a data set's images.

#include <string>

#include "eval/batch_loop.h"
#include "eval/feature_set.h"

namespace softmoe {

/// What `forward` gives for the images of `loader`, in its order, as float32 on the CPU, with their
/// labels; `name` is what the set is called. Throws InputError for features that are not finite.
FeatureSet extract_features(const Forward& forward, Loader& loader, const std::string& name,
                            const BatchLoopOptions& options);

/// The images themselves as features [batch, channels * height * width]: the baseline that a model
/// has to beat.
torch::Tensor pixel_features(const torch::Tensor& images);

}  // namespace softmoe
