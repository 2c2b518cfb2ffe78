#pragma once
/// Averages of the weights of several models: of the last checkpoints of a run, or of models that
/// were fine-tuned from the same weights.
/// Source: Wortsman et al., "Model soups", arXiv:2203.05482, section 2.

#include <cstdint>
#include <optional>
#include <string>

#include "checkpoints/model_checkpoint.h"
#include "checkpoints/surgery/tensor_mean.h"

namespace softmoe {

/// The mean of the weights that were added. Copies are independent of each other.
class WeightAverage {
 public:
  /// Adds the weights of the model `name`. Tensors of integers are those of the first model. Throws
  /// InputError that names it if its architecture, its classes or its tensors are not those of the
  /// first model.
  void add(const LoadedWeights& model, const std::string& name);

  int64_t models() const { return mean_.count(); }
  /// The mean, in the dtypes of the first model. Throws ValueError if there is no model.
  NamedTensors mean() const { return mean_.mean(); }
  /// The description of the first model.
  const ModelDescription& description() const { return first_.value().description; }
  /// All metadata of the first model.
  const Json& metadata() const { return first_.value().metadata; }

 private:
  void check(const LoadedWeights& model, const std::string& name) const;

  std::optional<LoadedWeights> first_;
  std::string first_name_;
  TensorMean mean_;
};

}  // namespace softmoe
