#pragma once
/// Average precision: how well the scores of a class put the images that show it first.

#include <torch/types.h>

#include <optional>
#include <vector>

namespace softmoe {

/// The average precision of each class for `scores` [images, classes] float32 and `present` of the
/// same shape, 1 where an image shows a class and 0 elsewhere: the sum of precisions at each
/// threshold, weighted by the increase of recall, without interpolation (as scikit-learn defines
/// it); equal scores share a threshold. std::nullopt for a class that no image shows.
std::vector<std::optional<double>> average_precision(const torch::Tensor& scores,
                                                     const torch::Tensor& present);

/// The mean over the classes that have a value; 0 if none has.
double mean_of_present(const std::vector<std::optional<double>>& values);

}  // namespace softmoe
