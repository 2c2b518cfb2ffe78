#include "ops/rows.h"

#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include "ops/fused/applies.h"
#include "ops/fused/row_passes.h"
#include "ops/tensor_pointers.h"

namespace softmoe {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Returns true if the operators around take bf16 rows and give fp32 tokens.
bool is_mixed(const torch::Tensor& x) {
  return fused::precision_of(x) == Precision::kBFloat16 && x.scalar_type() != torch::kFloat64;
}

/// The rows of x by number, zeros for -1.
class TakeFunction : public torch::autograd::Function<TakeFunction> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& tensor,
                               const torch::Tensor& index) {
    const auto x = tensor.contiguous();
    auto out = at::empty({index.size(0), index.size(1), x.size(-1)},
                         is_mixed(x) ? torch::kBFloat16 : x.scalar_type());
    fused::take_rows(x, index, out);  // [experts, rows, dim]
    context->save_for_backward({index});
    context->saved_data["shape"] = x.sizes();
    context->saved_data["dtype"] = static_cast<int64_t>(x.scalar_type());
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list d_outputs) {
    const auto d_rows = d_outputs[0].contiguous();  // [experts, rows, dim]
    const auto dtype = static_cast<torch::Dtype>(context->saved_data["dtype"].toInt());
    auto d_x = at::empty(context->saved_data["shape"].toIntVector(), dtype);  // [..., dim]
    const int64_t targets = d_x.numel() / d_x.size(-1);
    const auto rows = fused::rows_of_targets(context->get_saved_variables()[0], targets);
    fused::sum_rows(d_rows, {}, rows, d_x);
    return {d_x, {}};
  }
};

/// The sums over each target's rows of gate * x.
class SumFunction : public torch::autograd::Function<SumFunction> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& tensor,
                               const std::optional<torch::Tensor>& gate,
                               const torch::Tensor& target, int64_t targets) {
    const auto x = tensor.contiguous();
    const auto factors = gate.has_value() ? gate->contiguous() : torch::Tensor();
    auto out = at::empty({targets, x.size(2)}, is_mixed(x) ? torch::kFloat32 : x.scalar_type());
    fused::sum_rows(x, factors, fused::rows_of_targets(target, targets), out);  // [targets, dim]
    const bool keeps_x = gate.has_value() && gate->requires_grad();
    context->save_for_backward({keeps_x ? x : torch::Tensor(), factors, target});
    context->saved_data["dtype"] = static_cast<int64_t>(x.scalar_type());
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list d_outputs) {
    const auto saved = context->get_saved_variables();
    const auto& [x, gate, target] = std::tie(saved[0], saved[1], saved[2]);
    const auto d_out = d_outputs[0].contiguous();  // [targets, dim]
    const auto dtype = static_cast<torch::Dtype>(context->saved_data["dtype"].toInt());
    auto d_x = at::empty({target.size(0), target.size(1), d_out.size(1)}, dtype);
    const auto d_gate = x.defined() ? at::empty_like(gate) : torch::Tensor();  // [experts, rows]
    fused::sum_rows_backward(x, gate, target, d_out, d_x, d_gate);
    return {d_x, d_gate, {}, {}};
  }
};

/// By libtorch's operators.
torch::Tensor take_rows_in_steps(const torch::Tensor& x, const torch::Tensor& index) {
  return x.flatten(0, -2)
      .index_select(0, index.flatten().clamp_min(0))
      .view({index.size(0), index.size(1), x.size(-1)});  // [experts, rows, dim]
}

torch::Tensor sum_rows_in_steps(const torch::Tensor& x, const torch::Tensor& gate,
                                const torch::Tensor& target, int64_t targets) {
  const auto weighted = gate.defined() ? x * gate.unsqueeze(2).to(x.dtype()) : x;
  // Rows without a target meet in a spare one behind the others.
  const auto place = target.flatten();                         // [experts * rows]
  const auto index = torch::where(place < 0, targets, place);  // [experts * rows]
  return torch::zeros({targets + 1, x.size(2)}, x.options())
      .index_add(0, index, weighted.reshape({-1, x.size(2)}))
      .narrow(0, 0, targets);  // [targets, dim]
}

}  // namespace

torch::Tensor take_rows(const torch::Tensor& x, const torch::Tensor& index) {
  return fused::takes_rows(x) ? TakeFunction::apply(x, index.contiguous())
                              : take_rows_in_steps(x, index);  // [experts, rows, dim]
}

torch::Tensor sum_rows(const torch::Tensor& x, const torch::Tensor& gate,
                       const torch::Tensor& target, int64_t targets) {
  if (!fused::takes_rows(x)) {
    return sum_rows_in_steps(x, gate, target, targets);  // [targets, dim]
  }
  const auto dtype = x.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  const auto factors = gate.defined() ? gate.to(dtype) : gate;  // [experts, rows]
  return SumFunction::apply(x, optional_of(factors), target.contiguous(), targets);
}

}  // namespace softmoe
