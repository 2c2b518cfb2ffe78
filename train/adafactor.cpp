#include "train/adafactor.h"

#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

namespace softmoe {
namespace {

constexpr int64_t kMinFactored = 32;
constexpr double kDecayRate = 0.8;
constexpr double kEpsilon = 1e-30;  // added to squares

/// The second largest and the largest dimension of `tensor`; std::nullopt if its squares are not
/// factored.
std::optional<std::pair<int64_t, int64_t>> factored(const torch::Tensor& tensor) {
  if (tensor.dim() < 2) {
    return std::nullopt;
  }
  std::vector<std::pair<int64_t, int64_t>> sizes;  // with their dimension
  for (int64_t dimension = 0; dimension < tensor.dim(); ++dimension) {
    sizes.emplace_back(tensor.size(dimension), dimension);
  }
  std::sort(sizes.rbegin(), sizes.rend());
  if (sizes[1].first < kMinFactored) {
    return std::nullopt;
  }
  return std::pair(sizes[1].second, sizes[0].second);
}

/// Zeros with the shape of `tensor` but for size 1 in `dimension`.
torch::Tensor zeros_without(const torch::Tensor& tensor, int64_t dimension) {
  auto shape = tensor.sizes().vec();
  shape[static_cast<size_t>(dimension)] = 1;
  return at::zeros(shape, tensor.options().requires_grad(false));
}

torch::Tensor zero_rows(const NamedParameter& parameter) {
  const auto& tensor = parameter.tensor;
  const auto dimensions = factored(tensor);
  return dimensions ? zeros_without(tensor, dimensions->second) : torch::Tensor();
}

torch::Tensor zero_columns(const NamedParameter& parameter) {
  const auto& tensor = parameter.tensor;
  const auto dimensions = factored(tensor);
  return dimensions ? zeros_without(tensor, dimensions->first) : torch::Tensor();
}

torch::Tensor zero_squares(const NamedParameter& parameter) {
  return factored(parameter.tensor) ? torch::Tensor() : at::zeros_like(parameter.tensor);
}

}  // namespace

Adafactor::Adafactor(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options)
    : Optimizer(parameters, options,
                {{.name = "exp_avg", .zeros = bf16_zeros},
                 {.name = "exp_avg_sq", .zeros = zero_squares},
                 {.name = "exp_avg_sq_r", .zeros = zero_rows},
                 {.name = "exp_avg_sq_c", .zeros = zero_columns}}),
      beta1_(options.beta1),
      beta2_(options.beta2) {}

void Adafactor::update(const Group& group, double lr) {
  const double decay =
      std::min(beta2_, 1.0 - std::pow(static_cast<double>(group.steps), -kDecayRate));
  const auto& state = group.tensors.state;
  for (size_t i = 0; i < group.tensors.parameters.size(); ++i) {
    auto parameter = group.tensors.parameters[i];
    const auto gradient = scaled_gradient(group, i);
    const auto square = gradient.square().add_(kEpsilon);
    torch::Tensor direction;
    if (const auto dimensions = factored(parameter)) {
      const auto [column, row] = *dimensions;
      auto rows = state[2][i];
      auto columns = state[3][i];
      rows.lerp_(square.mean(row, /*keepdim=*/true), 1.0 - decay);
      columns.lerp_(square.mean(column, /*keepdim=*/true), 1.0 - decay);
      direction =
          gradient * (rows / rows.mean(column, /*keepdim=*/true)).rsqrt_() * columns.rsqrt();
    } else {
      auto squares = state[1][i];
      squares.lerp_(square, 1.0 - decay);
      direction = gradient * squares.rsqrt();
    }
    auto momentum = state[0][i];
    momentum.lerp_(direction.to(momentum.scalar_type()), 1.0 - beta1_);
    parameter.mul_(1.0 - lr * group.decay).sub_(momentum.to(parameter.scalar_type()), lr);
  }
}

}  // namespace softmoe
