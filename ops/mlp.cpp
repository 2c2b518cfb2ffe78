#include "ops/mlp.h"

#include "ops/activation.h"
#include "ops/batch_rows.h"
#include "ops/fused/applies.h"
#include "ops/fused/mlp.h"
#include "ops/linear.h"

namespace softmoe {
namespace {

/// The precision of the fused operator if it takes the call.
std::optional<Precision> fused_precision(const torch::Tensor& x, const MlpParameters& parameters,
                                         Activation activation, const MlpDropout& dropout) {
  return !dropout.drops() && fused::takes_mlp(parameters, activation) ? fused::precision_of(x)
                                                                      : std::nullopt;
}

torch::Tensor dropped(const torch::Tensor& x, const MlpDropout& dropout) {
  return dropout_rows(x, dropout.rate, dropout.training);
}

/// `x` [experts, rows, inputs] by `weight` [experts, outputs, inputs] and `bias`
/// [experts, outputs]: [experts, rows, outputs].
torch::Tensor batched_linear(const torch::Tensor& x, const torch::Tensor& weight,
                             const torch::Tensor& bias) {
  return torch::baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2));
}

}  // namespace

torch::Tensor mlp(const torch::Tensor& x, const MlpParameters& parameters, Activation activation,
                  const MlpDropout& dropout, const torch::Tensor& residual) {
  if (const auto precision = fused_precision(x, parameters, activation, dropout)) {
    return fused::mlp(x, parameters, activation, *precision, residual);  // [..., dim]
  }
  const auto& [fc1_weight, fc1_bias, fc2_weight, fc2_bias] = parameters;
  const auto hidden = dropped(activate(linear(x, fc1_weight, fc1_bias), activation), dropout);
  const auto out = dropped(linear(hidden, fc2_weight, fc2_bias), dropout);  // [..., dim]
  return residual.defined() ? residual + out : out;                         // [..., dim]
}

torch::Tensor expert_mlp(const torch::Tensor& x, const MlpParameters& parameters,
                         Activation activation, const MlpDropout& dropout) {
  if (const auto precision = fused_precision(x, parameters, activation, dropout)) {
    return fused::mlp(x, parameters, activation, *precision);  // [experts, rows, dim]
  }
  const auto& [fc1_weight, fc1_bias, fc2_weight, fc2_bias] = parameters;
  const auto hidden = torch::dropout(activate(batched_linear(x, fc1_weight, fc1_bias), activation),
                                     dropout.rate, dropout.training);
  return torch::dropout(batched_linear(hidden, fc2_weight, fc2_bias), dropout.rate,
                        dropout.training);  // [experts, rows, dim]
}

}  // namespace softmoe
