#include "softmoe/router_scale.h"

#include <ATen/ops/where.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

namespace softmoe {
namespace {

class LimitFunction : public torch::autograd::Function<LimitFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               double max) {
    context->save_for_backward({x.lt(max)});
    return x.clamp_max(max);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list d_outputs) {
    const auto is_below = context->get_saved_variables().front();
    const auto& gradient = d_outputs[0];
    // An optimizer follows the negative gradient.
    const auto passes = is_below.logical_or(gradient.gt(0.0));
    return {at::where(passes, gradient, at::zeros_like(gradient)), torch::Tensor()};
  }
};

}  // namespace

torch::Tensor router_scale(const torch::Tensor& parameter, const MoeOptions& options) {
  const auto scale =
      options.router_scale_form == ScaleForm::kExp ? parameter.exp() : parameter;  // []
  return options.router_scale_max > 0.0 ? LimitFunction::apply(scale, options.router_scale_max)
                                        : scale;
}

double initial_scale_parameter(const MoeOptions& options, int64_t dim) {
  const double scale = initial_router_scale(options, dim);
  return options.router_scale_form == ScaleForm::kExp ? std::log(scale) : scale;
}

}  // namespace softmoe
