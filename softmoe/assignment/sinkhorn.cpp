#include "softmoe/assignment/sinkhorn.h"

#include "core/tensor_check.h"

namespace softmoe {

TransportPlan sinkhorn_plan(const torch::Tensor& logits, const SinkhornOptions& options) {
  check_shape("sinkhorn_plan: logits", logits, {-1, -1, -1});
  TORCH_CHECK_VALUE(
      options.temperature > 0 && options.iterations > 0,
      "sinkhorn_plan: expected a positive temperature and number of iterations, found ",
      options.temperature, " and ", options.iterations);
  const torch::NoGradGuard no_grad;
  const auto scores = logits.detach() / options.temperature;  // [groups, tokens, experts]
  const double columns_per_token =
      static_cast<double>(logits.size(2)) / static_cast<double>(logits.size(1));
  // Normalising rows is a softmax and forgets any earlier factor of a row, so that all there is to
  // keep is the logarithm of each column's factor. No logarithm of a vanished sum is taken: columns
  // come in with a sum of 1, hence an element of 1 / tokens at least, in a row of a sum of experts
  // at most.
  auto potential = scores.logsumexp(/*dim=*/1, /*keepdim=*/true);  // [groups, 1, experts]
  TransportPlan result;
  while (true) {
    result.plan = (scores - potential).softmax(/*dim=*/2);           // [groups, tokens, experts]
    const auto sums = result.plan.sum(/*dim=*/1, /*keepdim=*/true);  // [groups, 1, experts]
    result.error = (sums * columns_per_token - 1.0).abs().max().item<double>();
    ++result.iterations;
    if (!(result.error > options.tolerance) || result.iterations == options.iterations) {
      return result;
    }
    potential += sums.log();
  }
}

torch::Tensor sinkhorn_unrolled(const torch::Tensor& logits, double temperature,
                                int64_t iterations) {
  check_shape("sinkhorn_unrolled: logits", logits, {-1, -1, -1});
  auto log_plan = logits / temperature;  // [groups, tokens, experts]
  for (int64_t iteration = 0; iteration < iterations; ++iteration) {
    log_plan = (log_plan - log_plan.logsumexp(/*dim=*/1, /*keepdim=*/true))
                   .log_softmax(/*dim=*/2);  // [groups, tokens, experts]
  }
  return log_plan.exp();
}

int64_t equal_load(int64_t tokens, int64_t choices, int64_t experts) {
  return (tokens * choices + experts - 1) / experts;
}

torch::Tensor transport_gates(const torch::Tensor& logits, int64_t choices) {
  return choices == 1 ? logits.sigmoid() : logits.softmax(/*dim=*/2);
}

}  // namespace softmoe
