#pragma once
/// Losses of classification, in fp32 or fp64.

#include <torch/types.h>

#include <span>
#include <string>
#include <string_view>

#include "core/options.h"
#include "vit/likelihood.h"

namespace softmoe {

/// The loss of classification.
struct LossOptions {
  std::string loss = "softmax";
  double smoothing = 0.0;
  int64_t loss_chunk = 0;  ///< images whose logits are held at once; 0: by their size
  bool operator==(const LossOptions&) const = default;
};
void describe(OptionTable& table, LossOptions& options);

/// A loss that `--loss` can name.
struct LossRow {
  std::string_view name;
  std::string_view meaning;
  Likelihood likelihood;  ///< of the logits that it is computed from
  /// Returns the bias that a new head of `classes` classes starts with, as in the loss's source;
  /// null if the loss asks for none.
  double (*head_bias)(int64_t classes);
  /// `logits` and `targets` [batch, classes] of one dtype, targets in [0, 1]; gives [batch].
  torch::Tensor (*loss)(const torch::Tensor& logits, const torch::Tensor& targets);
};
/// softmax and sigmoid cross-entropy (the latter: Beyer et al., arXiv:2006.07159, section 5).
std::span<const LossRow> losses();
/// The row called `name`; throws UsageError if there is none.
const LossRow& loss_row(const std::string& name);

/// Sum over classes of the binary cross-entropies, [batch].
torch::Tensor sigmoid_cross_entropy(const torch::Tensor& logits, const torch::Tensor& targets);
/// Cross-entropy of the softmax, [batch].
torch::Tensor softmax_cross_entropy(const torch::Tensor& logits, const torch::Tensor& targets);

/// Target probabilities [batch, classes] of `dtype`: one-hot for labels [batch] of integers, or
/// `labels` themselves if they are [batch, classes]. With smoothing s a target t becomes
/// (1 - s) t + s / classes (Szegedy et al., arXiv:1512.00567, section 7).
torch::Tensor target_probabilities(const torch::Tensor& labels, int64_t classes, double smoothing,
                                   torch::Dtype dtype);

/// The loss that `options` name, per image, [batch], of `logits` [batch, classes] and labels as in
/// target_probabilities(); logits of reduced precision are converted to fp32. Throws UsageError for
/// an unknown name and c10::ValueError for shapes that do not fit.
torch::Tensor classification_losses(const LossOptions& options, const torch::Tensor& logits,
                                    const torch::Tensor& labels);
/// The mean of classification_losses() over images, [].
torch::Tensor classification_loss(const LossOptions& options, const torch::Tensor& logits,
                                  const torch::Tensor& labels);

}  // namespace softmoe
