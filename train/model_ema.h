#pragma once
/// Exponential moving averages of a model's weights.

#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/named_tensors.h"

namespace softmoe {

/// An average and its use so far.
struct AveragedModel {
  double decay = 0.0;
  std::shared_ptr<torch::nn::Module> model{};  ///< with the averaged weights, for evaluation
  double best_score = -1.0;                    ///< of all evaluations

  /// "0.9998", as files and records name the average.
  std::string name() const;
};

/// Averages of the weights of one model (Polyak and Juditsky 1992), each with a decay d: after each
/// update, average = d average + (1 - d) weight; tensors that do not learn by gradients are copied.
/// With warm-up, d is at most 1 - (1 + updates)^(-2/3), as in timm's ModelEmaV3.
class ModelEma {
 public:
  /// Averages that begin with the weights of `model`.
  ModelEma(const torch::nn::Module& model, const std::vector<double>& decays, bool warms_up);

  /// Takes in the weights after update number `step` >= 1.
  void update(const torch::nn::Module& model, int64_t step);

  std::vector<AveragedModel>& averages() { return averages_; }
  const std::vector<AveragedModel>& averages() const { return averages_; }

  /// All averages, as "<name>/<tensor>", for checkpoints.
  NamedTensors tensors() const;
  /// Continues from what tensors() gave. Throws InputError that names `path` if an average is
  /// missing.
  void load(const NamedTensors& tensors, const std::string& path);

 private:
  std::vector<AveragedModel> averages_;
  bool warms_up_;
};

}  // namespace softmoe
