#include "ops/soft_routing.h"

#include "core/tensor_check.h"
#include "runtime/autocast_guard.h"

namespace softmoe {
namespace {

torch::Tensor at_least_fp32(const torch::Tensor& x) {
  return x.scalar_type() == torch::kFloat64 ? x : x.to(torch::kFloat32);
}

}  // namespace

torch::Tensor l2_normalize(const torch::Tensor& x, int64_t axis, double eps) {
  return x * x.square().sum(axis, /*keepdim=*/true).add(eps).rsqrt();
}

torch::Tensor soft_keys(const torch::Tensor& phi, const torch::Tensor& scale, double eps) {
  const AutocastGuard full_precision(phi.device(), torch::kFloat32);
  const auto slots = at_least_fp32(phi);  // [dim, slots]
  return l2_normalize(slots, /*axis=*/0, eps) * scale.to(slots.dtype());
}

torch::Tensor soft_logits(const torch::Tensor& x, const torch::Tensor& phi,
                          const torch::Tensor& scale, double eps) {
  check_shape("soft_logits: x", x, {-1, -1, -1});
  check_shape("soft_logits: phi", phi, {x.size(2), -1});
  const AutocastGuard full_precision(x.device(), torch::kFloat32);
  const auto tokens = at_least_fp32(x);                             // [batch, tokens, dim]
  const auto keys = soft_keys(phi.to(tokens.dtype()), scale, eps);  // [dim, slots]
  // A token's norm divides its row of logits: the same as normalising the token, without writing
  // a second copy of all tokens.
  const auto inverse_norm =
      tokens.square().sum(/*dim=*/-1, /*keepdim=*/true).add(eps).rsqrt();  // [batch, tokens, 1]
  return tokens.matmul(keys) * inverse_norm;                               // [batch, tokens, slots]
}

SoftRouting soft_weights(const torch::Tensor& logits) {
  return {.dispatch = logits.softmax(/*dim=*/1), .combine = logits.softmax(/*dim=*/2)};
}

torch::Tensor dispatch_tokens(const torch::Tensor& x, const torch::Tensor& dispatch,
                              int64_t experts) {
  const int64_t batch = x.size(0);
  const int64_t dim = x.size(2);
  const int64_t slots = dispatch.size(2);
  const auto weights = dispatch.to(x.dtype());              // [batch, tokens, slots]
  const auto averages = weights.transpose(1, 2).matmul(x);  // [batch, slots, dim]
  return averages.view({batch, experts, slots / experts, dim})
      .transpose(0, 1)
      .reshape({experts, batch * (slots / experts), dim});  // [experts, rows, dim]
}

torch::Tensor combine_outputs(const torch::Tensor& expert_outputs, const torch::Tensor& combine) {
  const int64_t experts = expert_outputs.size(0);
  const int64_t dim = expert_outputs.size(2);
  const int64_t batch = combine.size(0);
  const int64_t slots = combine.size(2);
  const auto outputs = expert_outputs.view({experts, batch, slots / experts, dim})
                           .transpose(0, 1)
                           .reshape({batch, slots, dim});  // [batch, slots, dim]
  return combine.to(outputs.dtype()).matmul(outputs);      // [batch, tokens, dim]
}

torch::Tensor round_through(const torch::Tensor& x, torch::Dtype dtype) {
  return x.scalar_type() == dtype ? x : x.to(dtype).to(x.scalar_type());
}

}  // namespace softmoe
