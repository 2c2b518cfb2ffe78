#include "ops/entmax.h"

#include <ATen/ops/arange.h>
#include <torch/csrc/autograd/custom_function.h>

namespace softmoe {
namespace {

/// The threshold of each row of `halves` [..., count], [..., 1]. The largest entry of a row is 0,
/// so that no sum of squares cancels.
torch::Tensor entmax_threshold(const torch::Tensor& halves) {
  const int64_t count = halves.size(-1);
  const auto sorted = std::get<0>(halves.sort(/*dim=*/-1, /*descending=*/true));  // [..., count]
  const auto size = at::arange(1, count + 1, halves.options());                   // [count]
  const auto mean = sorted.cumsum(-1) / size;                                     // [..., count]
  const auto mean_square = sorted.square().cumsum(-1) / size;                     // [..., count]
  const auto deviation = size * (mean_square - mean.square());                    // [..., count]
  // The threshold if exactly the first entries, 1 to count of them, are above it.
  const auto thresholds = mean - ((1.0 - deviation) / size).clamp_min(0.0).sqrt();  // [..., count]
  const auto support = thresholds.le(sorted).sum(-1, /*keepdim=*/true);             // [..., 1]
  return thresholds.gather(-1, support - 1);                                        // [..., 1]
}

class EntmaxFunction : public torch::autograd::Function<EntmaxFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context,
                               const torch::Tensor& logits) {
    const auto halves = (logits - logits.amax(-1, /*keepdim=*/true)) / 2.0;
    const auto roots = (halves - entmax_threshold(halves)).clamp_min(0.0);  // [..., count]
    context->save_for_backward({roots});
    return roots.square();
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list d_outputs) {
    const auto roots = context->get_saved_variables().front();  // [..., count]
    const auto weighted = d_outputs[0] * roots;
    const auto mean =
        weighted.sum(-1, /*keepdim=*/true) / roots.sum(-1, /*keepdim=*/true);  // [..., 1]
    return {weighted - mean * roots};
  }
};

}  // namespace

torch::Tensor entmax15(const torch::Tensor& logits) {
  TORCH_CHECK_VALUE(logits.dim() > 0 && logits.size(-1) > 0 && logits.is_floating_point(),
                    "entmax15: expected floating-point logits with a last axis, found ",
                    logits.sizes(), " of ", logits.scalar_type());
  return EntmaxFunction::apply(logits);
}

}  // namespace softmoe
