#include "ops/fused/attention.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/tensor_check.h"
#include "ops/compute_precision.h"
#include "ops/fused/attention_pass.h"
#include "ops/fused/values.h"
#include "ops/tensor_pointers.h"

namespace softmoe::fused {
namespace {

/// Longest sequence: the scores of one head take tokens^2 * 8 bytes of the second-level cache.
constexpr int64_t kMaxTokens = 288;

/// `first` as AttentionCall has it, for `x` [.., .., dim].
AttentionCall call_of(const torch::Tensor& x, int64_t heads, double eps, Precision precision,
                      std::vector<int64_t> first) {
  const int64_t tokens = longest_sequence(first);
  return {.precision = precision,
          .first = std::move(first),
          .longest = {.tokens = tokens,
                      .heads = heads,
                      .head_dim = x.size(2) / heads,
                      .norm_eps = static_cast<float>(eps)}};
}

/// What the forward pass keeps for the backward pass, in the precision of the products.
struct KeptOfAttention {
  torch::Tensor x;      // [batch, tokens, dim]
  torch::Tensor qkv;    // [batch, tokens, 3 dim]
  torch::Tensor mixed;  // [batch, tokens, dim]
};

torch::Tensor attention_forward(const torch::Tensor& x, const AttentionParameters& parameters,
                                Precision precision, const torch::Tensor& residual,
                                std::vector<int64_t> first, KeptOfAttention& kept) {
  const auto call = call_of(x, parameters.heads, parameters.norm_eps, precision, std::move(first));
  const auto input = contiguous_values(x);
  const auto dtype = tensor_dtype(precision);
  kept.x = is_rounded(source_of(input), precision) ? at::empty(x.sizes(), dtype) : input;
  kept.qkv = at::empty({x.size(0), x.size(1), 3 * x.size(2)}, dtype);
  kept.mixed = at::empty(x.sizes(), dtype);
  const auto rest = residual.defined() ? residual.contiguous() : residual;
  auto out = at::empty(x.sizes(), rest.defined() ? torch::kFloat32 : dtype);
  const AttentionForwardJob job{
      .x = source_of(input),
      .qkv_weight = source_of(parameters.qkv_weight),
      .qkv_bias = fp32_or_null(parameters.qkv_bias),
      .proj_weight = source_of(parameters.proj_weight),
      .proj_bias = fp32_or_null(parameters.proj_bias),
      .norm = {fp32_or_null(parameters.q_norm), fp32_or_null(parameters.k_norm)},
      .residual = fp32_or_null(rest),
      .x_kept = target_of(kept.x),
      .qkv = target_of(kept.qkv),
      .mixed = target_of(kept.mixed),
      .out = target_of(out)};
  attention_pass_forward(call, job);
  return out;
}

class AttentionFunction : public torch::autograd::Function<AttentionFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& qkv_weight, const torch::Tensor& qkv_bias,
                               const torch::Tensor& proj_weight, const torch::Tensor& proj_bias,
                               const std::optional<torch::Tensor>& q_norm,
                               const std::optional<torch::Tensor>& k_norm, double norm_eps,
                               int64_t heads, Precision precision,
                               const std::optional<torch::Tensor>& residual,
                               const std::vector<int64_t>& first) {
    KeptOfAttention kept;
    auto out = attention_forward(x,
                                 {.qkv_weight = qkv_weight,
                                  .qkv_bias = qkv_bias,
                                  .proj_weight = proj_weight,
                                  .proj_bias = proj_bias,
                                  .q_norm = tensor_of(q_norm),
                                  .k_norm = tensor_of(k_norm),
                                  .norm_eps = norm_eps,
                                  .heads = heads},
                                 precision, tensor_of(residual), first, kept);
    context->save_for_backward({kept.x, kept.qkv, kept.mixed, qkv_weight, proj_weight,
                                tensor_of(q_norm), tensor_of(k_norm)});
    context->saved_data["norm_eps"] = norm_eps;
    context->saved_data["heads"] = heads;
    context->saved_data["precision"] = static_cast<int64_t>(precision);
    context->saved_data["x_is_bf16"] = x.scalar_type() == torch::kBFloat16;
    context->saved_data["has_residual"] = residual.has_value();
    context->saved_data["first"] = first;
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list d_outputs) {
    const auto saved = context->get_saved_variables();
    const auto& x = saved[0];
    const auto call =
        call_of(x, context->saved_data["heads"].toInt(), context->saved_data["norm_eps"].toDouble(),
                static_cast<Precision>(context->saved_data["precision"].toInt()),
                context->saved_data["first"].toIntVector());
    const bool x_is_bf16 = context->saved_data["x_is_bf16"].toBool();
    const int64_t dim = call.longest.dim();
    torch::Tensor d_x;
    if (context->needs_input_grad(0)) {
      d_x = at::empty(x.sizes(), x_is_bf16 ? torch::kBFloat16 : torch::kFloat32);
    }
    const auto gradient = [context](size_t input, torch::IntArrayRef sizes) {
      return context->needs_input_grad(input) ? at::empty(sizes, torch::kFloat32) : torch::Tensor();
    };
    AttentionParameters gradients{};
    gradients.qkv_weight = gradient(1, {3 * dim, dim});
    gradients.qkv_bias = gradient(2, {3 * dim});
    gradients.proj_weight = gradient(3, {dim, dim});
    gradients.proj_bias = gradient(4, {dim});
    torch::Tensor d_norms;
    if (saved[5].defined()) {
      const auto& shape = call.longest;
      d_norms = at::zeros({call.sequences() * shape.heads, 2, shape.head_dim}, torch::kFloat32);
    }
    const auto d_out = contiguous_values(d_outputs[0]);
    attention_pass_backward(call, {.norm = {fp32_or_null(saved[5]), fp32_or_null(saved[6])},
                                   .qkv_weight = source_of(saved[3]),
                                   .proj_weight = source_of(saved[4]),
                                   .x = source_of(x),
                                   .qkv = source_of(saved[1]),
                                   .mixed = source_of(saved[2]),
                                   .d_out = source_of(d_out),
                                   .d_x = target_of(d_x),
                                   .d_qkv_weight = writable_or_null(gradients.qkv_weight),
                                   .d_qkv_bias = writable_or_null(gradients.qkv_bias),
                                   .d_proj_weight = writable_or_null(gradients.proj_weight),
                                   .d_proj_bias = writable_or_null(gradients.proj_bias),
                                   .d_norms = writable_or_null(d_norms)});
    if (d_norms.defined() && context->needs_input_grad({{5, 7}})) {
      const auto sums = d_norms.sum(0);  // [2, head_dim]
      gradients.q_norm = sums[0].clone();
      gradients.k_norm = sums[1].clone();
    }
    const bool has_residual = context->saved_data["has_residual"].toBool();
    return {d_x,
            gradients.qkv_weight,
            gradients.qkv_bias,
            gradients.proj_weight,
            gradients.proj_bias,
            gradients.q_norm,
            gradients.k_norm,
            {},
            {},
            {},
            has_residual ? d_outputs[0] : torch::Tensor(),
            {}};
  }
};

}  // namespace

bool takes_attention(const AttentionParameters& parameters, int64_t tokens) {
  const int64_t dim = parameters.qkv_weight.size(1);
  return tokens <= kMaxTokens && dim % (16 * parameters.heads) == 0 &&
         parameters.qkv_weight.scalar_type() == torch::kFloat32 &&
         parameters.qkv_weight.is_contiguous() && parameters.proj_weight.is_contiguous();
}

torch::Tensor attention(const torch::Tensor& x, const AttentionParameters& parameters,
                        Precision precision, const torch::Tensor& residual,
                        const PackedSequences& sequences) {
  check_shape("attention: x", x, {-1, -1, parameters.qkv_weight.size(1)});
  check_values("attention: x", x, precision);
  const auto first = sequence_offsets(x, sequences);
  const int64_t tokens = longest_sequence(first);
  TORCH_CHECK_VALUE(takes_attention(parameters, tokens), "attention: ", tokens, " tokens, ",
                    parameters.heads, " heads of ", x.size(2), " channels in all");
  TORCH_CHECK_VALUE(!residual.defined() || residual.sizes() == x.sizes(), "attention: x ",
                    x.sizes(), ", residual ", residual.sizes());
  const auto rest = residual.defined() ? residual.to(torch::kFloat32) : residual;
  if (!at::GradMode::is_enabled()) {
    KeptOfAttention kept;
    return attention_forward(x, parameters, precision, rest, first, kept);
  }
  return AttentionFunction::apply(
      x, parameters.qkv_weight, parameters.qkv_bias, parameters.proj_weight, parameters.proj_bias,
      optional_of(parameters.q_norm), optional_of(parameters.k_norm), parameters.norm_eps,
      parameters.heads, precision, optional_of(rest), first);
}

}  // namespace softmoe::fused
