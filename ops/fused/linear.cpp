#include "ops/fused/linear.h"

#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include "ops/compute_precision.h"
#include "ops/fused/linear_pass.h"
#include "ops/tensor_pointers.h"

namespace softmoe::fused {
namespace {

LinearShape shape_of(const torch::Tensor& x, const torch::Tensor& weight, Precision precision) {
  return {.precision = precision,
          .rows = x.numel() / x.size(-1),
          .inputs = weight.size(1),
          .outputs = weight.size(0)};
}

/// `tensor` contiguous and as products of `precision` take it: fp32 for kFloat32.
torch::Tensor values_of(const torch::Tensor& tensor, Precision precision) {
  return precision == Precision::kFloat32 ? tensor.to(torch::kFloat32).contiguous()
                                          : contiguous_values(tensor);
}

class LinearFunction : public torch::autograd::Function<LinearFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight,
                               const std::optional<torch::Tensor>& bias, Precision precision) {
    const auto input = values_of(x, precision);
    const auto factors = weight.contiguous();
    const auto shape = shape_of(input, factors, precision);
    auto sizes = x.sizes().vec();
    sizes.back() = shape.outputs;
    auto y = at::empty(sizes, tensor_dtype(precision));  // [..., outputs]
    linear_forward(shape, {.x = source_of(input),
                           .weight = source_of(factors),
                           .bias = fp32_or_null(tensor_of(bias)),
                           .y = target_of(y)});
    context->save_for_backward({input, factors});
    context->saved_data["precision"] = static_cast<int64_t>(precision);
    context->saved_data["has_bias"] = bias.has_value();
    context->saved_data["x_dtype"] = static_cast<int64_t>(x.scalar_type());
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list d_outputs) {
    const auto saved = context->get_saved_variables();
    const auto& [x, weight] = std::tie(saved[0], saved[1]);
    const auto precision = static_cast<Precision>(context->saved_data["precision"].toInt());
    const auto shape = shape_of(x, weight, precision);
    const auto d_y = values_of(d_outputs[0], precision);
    const bool has_bias = context->saved_data["has_bias"].toBool();
    const auto gradient = [&](size_t input, torch::IntArrayRef sizes) {
      // A missing bias is no input.
      const bool exists = input != 2 || has_bias;
      return exists && context->needs_input_grad(input) ? at::empty(sizes, torch::kFloat32)
                                                        : torch::Tensor();
    };
    const auto d_x = gradient(0, x.sizes());            // [..., inputs]
    const auto d_weight = gradient(1, weight.sizes());  // [outputs, inputs]
    const auto d_bias = gradient(2, {weight.size(0)});  // [outputs]
    linear_backward(shape, {.d_y = source_of(d_y),
                            .x = source_of(x),
                            .weight = source_of(weight),
                            .d_x = target_of(d_x),
                            .d_weight = writable_or_null(d_weight),
                            .d_bias = writable_or_null(d_bias)});
    const auto dtype = static_cast<torch::Dtype>(context->saved_data["x_dtype"].toInt());
    return {d_x.defined() ? d_x.to(dtype) : d_x, d_weight, d_bias, {}};
  }
};

}  // namespace

bool takes_linear(const torch::Tensor& weight, const torch::Tensor& bias) {
  return weight.dim() == 2 && weight.scalar_type() == torch::kFloat32 &&
         (!bias.defined() || bias.scalar_type() == torch::kFloat32);
}

torch::Tensor linear(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias,
                     Precision precision) {
  TORCH_CHECK_VALUE(takes_linear(weight, bias) && x.size(-1) == weight.size(1) && x.numel() > 0,
                    "linear: x ", x.sizes(), ", weight ", weight.sizes());
  return LinearFunction::apply(x, weight, optional_of(bias), precision);
}

}  // namespace softmoe::fused
