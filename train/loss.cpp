#include "train/loss.h"

#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/zeros.h>

#include <array>
#include <cmath>

#include "core/registry.h"
#include "core/tensor_check.h"

namespace softmoe {
namespace {

/// Every class starts with the probability 1 / (classes + 1).
double uniform_sigmoid_bias(int64_t classes) { return -std::log(static_cast<double>(classes)); }

constexpr std::array<LossRow, 2> kLosses{{
    {.name = "softmax",
     .meaning = "cross-entropy of the softmax over classes",
     .likelihood = Likelihood::kSoftmax,
     .head_bias = nullptr,
     .loss = softmax_cross_entropy},
    {.name = "sigmoid",
     .meaning = "sum over classes of binary cross-entropies",
     .likelihood = Likelihood::kSigmoid,
     .head_bias = uniform_sigmoid_bias,
     .loss = sigmoid_cross_entropy},
}};

}  // namespace

void describe(OptionTable& table, LossOptions& options) {
  std::vector<std::string> names;
  for (const auto& row : kLosses) {
    names.emplace_back(row.name);
  }
  table.add("loss", options.loss, "cross-entropy that is minimised", {.choices = names});
  table.add("smoothing", options.smoothing, "label smoothing", {.min = 0, .max = 1});
  table.add("loss-chunk", options.loss_chunk,
            "images whose logits are in memory at once, for heads of very many classes, with equal "
            "losses; 0: all, or from 64 MiB of logits on equal parts of less; distill has all",
            {.unit = "images", .min = 0});
}

std::span<const LossRow> losses() { return kLosses; }

const LossRow& loss_row(const std::string& name) { return find_row(losses(), name, "loss"); }

torch::Tensor sigmoid_cross_entropy(const torch::Tensor& logits, const torch::Tensor& targets) {
  check_shape("sigmoid_cross_entropy: targets", targets, {logits.size(0), logits.size(1)});
  return at::binary_cross_entropy_with_logits(logits, targets, /*weight=*/{}, /*pos_weight=*/{},
                                              at::Reduction::None)
      .sum(1);  // [batch]
}

torch::Tensor softmax_cross_entropy(const torch::Tensor& logits, const torch::Tensor& targets) {
  check_shape("softmax_cross_entropy: targets", targets, {logits.size(0), logits.size(1)});
  const auto log_probabilities = logits.log_softmax(/*dim=*/1);  // [batch, classes]
  return -(targets * log_probabilities).sum(1);                  // [batch]
}

torch::Tensor target_probabilities(const torch::Tensor& labels, int64_t classes, double smoothing,
                                   torch::Dtype dtype) {
  torch::Tensor targets;
  if (labels.dim() == 1) {
    targets = at::zeros({labels.size(0), classes}, labels.options().dtype(dtype));
    targets.scatter_(/*dim=*/1, labels.to(torch::kInt64).unsqueeze(1), 1.0);  // [batch, classes]
  } else {
    check_shape("target_probabilities: labels", labels, {-1, classes});
    targets = labels.to(dtype);  // [batch, classes]
  }
  if (smoothing == 0.0) {
    return targets;
  }
  return targets * (1.0 - smoothing) + smoothing / static_cast<double>(classes);
}

torch::Tensor classification_losses(const LossOptions& options, const torch::Tensor& logits,
                                    const torch::Tensor& labels) {
  check_shape("classification_losses: logits", logits, {-1, -1});
  TORCH_CHECK_VALUE(labels.size(0) == logits.size(0), "classification_losses: ", logits.size(0),
                    " rows of logits, ", labels.size(0), " labels");
  const auto& row = loss_row(options.loss);
  const auto dtype = logits.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  const auto targets = target_probabilities(labels, logits.size(1), options.smoothing, dtype);
  return row.loss(logits.to(dtype), targets);  // [batch]
}

torch::Tensor classification_loss(const LossOptions& options, const torch::Tensor& logits,
                                  const torch::Tensor& labels) {
  return classification_losses(options, logits, labels).mean();  // []
}

}  // namespace softmoe
