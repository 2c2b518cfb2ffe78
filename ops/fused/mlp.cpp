#include "ops/fused/mlp.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include "ops/compute_precision.h"
#include "ops/fused/mlp_pass.h"
#include "ops/fused/values.h"
#include "ops/tensor_pointers.h"

namespace softmoe::fused {
namespace {

MlpShape shape_of(const torch::Tensor& x, const torch::Tensor& fc1_weight, Activation activation,
                  Precision precision) {
  const bool batched = fc1_weight.dim() == 3;
  const int64_t experts = batched ? fc1_weight.size(0) : 1;
  const int64_t dim = x.size(-1);
  return {.precision = precision,
          .experts = experts,
          .rows = x.numel() / dim / experts,
          .dim = dim,
          .hidden = fc1_weight.size(-2),
          .activation = activation};
}

/// What the forward pass keeps for the backward pass, in the precision of the products.
struct KeptOfMlp {
  torch::Tensor x;       // [..., dim]
  torch::Tensor before;  // [experts, rows, hidden]
};

torch::Tensor mlp_forward_of(const torch::Tensor& x, const MlpParameters& parameters,
                             Activation activation, Precision precision,
                             const torch::Tensor& residual, KeptOfMlp* kept) {
  const auto shape = shape_of(x, parameters.fc1_weight, activation, precision);
  const auto input = contiguous_values(x);
  const auto dtype = tensor_dtype(precision);
  const bool converts = is_rounded(source_of(input), precision);
  const auto x_kept = converts ? at::empty(x.sizes(), dtype) : input;  // [..., dim]
  torch::Tensor before;
  if (kept != nullptr) {
    before = at::empty({shape.experts, shape.rows, shape.hidden}, dtype);
    *kept = {.x = x_kept, .before = before};
  }
  const auto rest = residual.defined() ? residual.contiguous() : residual;
  auto out = at::empty(x.sizes(), rest.defined() ? torch::kFloat32 : dtype);
  const MlpForwardJob job{.x = source_of(input),
                          .x_kept = target_of(x_kept),
                          .fc1_weight = source_of(parameters.fc1_weight),
                          .fc1_bias = parameters.fc1_bias.const_data_ptr<float>(),
                          .fc2_weight = source_of(parameters.fc2_weight),
                          .fc2_bias = parameters.fc2_bias.const_data_ptr<float>(),
                          .residual = fp32_or_null(rest),
                          .before = target_of(before),
                          .out = target_of(out)};
  mlp_forward(shape, job);
  return out;
}

class MlpFunction : public torch::autograd::Function<MlpFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& fc1_weight, const torch::Tensor& fc1_bias,
                               const torch::Tensor& fc2_weight, const torch::Tensor& fc2_bias,
                               Activation activation, Precision precision,
                               const std::optional<torch::Tensor>& residual) {
    KeptOfMlp kept;
    const auto out = mlp_forward_of(x, {fc1_weight, fc1_bias, fc2_weight, fc2_bias}, activation,
                                    precision, tensor_of(residual), &kept);
    context->save_for_backward({kept.x, kept.before, fc1_weight, fc2_weight});
    context->saved_data["activation"] = static_cast<int64_t>(activation);
    context->saved_data["precision"] = static_cast<int64_t>(precision);
    context->saved_data["x_is_bf16"] = x.scalar_type() == torch::kBFloat16;
    context->saved_data["has_residual"] = residual.has_value();
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list d_outputs) {
    const auto saved = context->get_saved_variables();
    const auto& [x, before, fc1_weight, fc2_weight] =
        std::tie(saved[0], saved[1], saved[2], saved[3]);
    const auto shape =
        shape_of(x, fc1_weight, static_cast<Activation>(context->saved_data["activation"].toInt()),
                 static_cast<Precision>(context->saved_data["precision"].toInt()));
    const auto d_out = contiguous_values(d_outputs[0]);
    const bool x_is_bf16 = context->saved_data["x_is_bf16"].toBool();
    torch::Tensor d_x;
    if (context->needs_input_grad(0)) {
      d_x = at::empty(x.sizes(), x_is_bf16 ? torch::kBFloat16 : torch::kFloat32);
    }
    const auto gradient = [context](size_t input, torch::IntArrayRef sizes) {
      return context->needs_input_grad(input) ? at::empty(sizes, torch::kFloat32) : torch::Tensor();
    };
    const MlpParameters gradients{.fc1_weight = gradient(1, fc1_weight.sizes()),
                                  .fc1_bias = gradient(2, bias_shape(fc1_weight)),
                                  .fc2_weight = gradient(3, fc2_weight.sizes()),
                                  .fc2_bias = gradient(4, bias_shape(fc2_weight))};
    const MlpBackwardJob job{.d_out = source_of(d_out),
                             .x = source_of(x),
                             .before = source_of(before),
                             .fc1_weight = source_of(fc1_weight),
                             .fc2_weight = source_of(fc2_weight),
                             .d_x = target_of(d_x),
                             .d_fc1_weight = writable_or_null(gradients.fc1_weight),
                             .d_fc1_bias = writable_or_null(gradients.fc1_bias),
                             .d_fc2_weight = writable_or_null(gradients.fc2_weight),
                             .d_fc2_bias = writable_or_null(gradients.fc2_bias)};
    mlp_backward(shape, job);
    const bool has_residual = context->saved_data["has_residual"].toBool();
    return {d_x,
            gradients.fc1_weight,
            gradients.fc1_bias,
            gradients.fc2_weight,
            gradients.fc2_bias,
            {},
            {},
            has_residual ? d_outputs[0] : torch::Tensor()};
  }

 private:
  static torch::IntArrayRef bias_shape(const torch::Tensor& weight) {
    return weight.sizes().slice(0, weight.dim() - 1);
  }
};

}  // namespace

bool takes_mlp(const MlpParameters& parameters, Activation activation) {
  const auto& weight = parameters.fc1_weight;
  const bool knows = activation == Activation::kGeluTanh || activation == Activation::kGeluExact;
  return knows && weight.scalar_type() == torch::kFloat32 && weight.size(-1) % 2 == 0 &&
         weight.size(-2) % 2 == 0 && weight.is_contiguous() &&
         parameters.fc2_weight.is_contiguous();
}

torch::Tensor mlp(const torch::Tensor& x, const MlpParameters& parameters, Activation activation,
                  Precision precision, const torch::Tensor& residual) {
  const auto& [fc1_weight, fc1_bias, fc2_weight, fc2_bias] = parameters;
  TORCH_CHECK_VALUE(x.size(-1) == fc1_weight.size(-1) && takes_mlp(parameters, activation),
                    "mlp: x ", x.sizes(), " and fc1_weight ", fc1_weight.sizes());
  check_values("mlp: x", x, precision);
  TORCH_CHECK_VALUE(!residual.defined() || residual.sizes() == x.sizes(), "mlp: x ", x.sizes(),
                    ", residual ", residual.sizes());
  const auto rest = residual.defined() ? residual.to(torch::kFloat32) : residual;
  if (!at::GradMode::is_enabled()) {
    return mlp_forward_of(x, parameters, activation, precision, rest, /*kept=*/nullptr);
  }
  return MlpFunction::apply(x, fc1_weight, fc1_bias, fc2_weight, fc2_bias, activation, precision,
                            optional_of(rest));
}

}  // namespace softmoe::fused
