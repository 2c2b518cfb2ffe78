#include "softmoe/sparse_rows.h"

#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/tensor_check.h"
#include "ops/fused_memory.h"
#include "ops/fused_ops.h"
#include "ops/row_ops.h"
#include "softmoe/router.h"

namespace softmoe {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Whether the operators around take and give what the experts compute in: bf16 rows, fp32 tokens.
bool is_mixed(const torch::Tensor& x) {
  return fused_ops_apply(x) && x.scalar_type() != torch::kFloat64;
}

/// Copies of tokens [batch, tokens, dim] in the rows of experts, empty rows zero.
class GatherFunction : public torch::autograd::Function<GatherFunction> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& tokens,
                               const torch::Tensor& token) {
    const auto x = tokens.contiguous();
    auto out = at::empty({token.size(0), token.size(1), x.size(2)},
                         is_mixed(x) ? torch::kBFloat16 : x.scalar_type());
    take_rows(x, token, out);  // [experts, rows, dim]
    context->save_for_backward({token});
    context->saved_data["shape"] = x.sizes();
    context->saved_data["dtype"] = static_cast<int64_t>(x.scalar_type());
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list d_outputs) {
    const auto d_rows = d_outputs[0].contiguous();  // [experts, rows, dim]
    const auto shape = context->saved_data["shape"].toIntVector();
    const auto dtype = static_cast<torch::Dtype>(context->saved_data["dtype"].toInt());
    auto d_tokens = at::empty(shape, dtype);  // [batch, tokens, dim]
    const auto rows = rows_of_targets(context->get_saved_variables()[0], shape[0] * shape[1]);
    sum_rows(d_rows, {}, rows, d_tokens);
    return {d_tokens, {}};
  }
};

/// The sums over each token's rows of gate * output, [batch, tokens, dim].
class ScatterFunction : public torch::autograd::Function<ScatterFunction> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& expert_outputs,
                               const std::optional<torch::Tensor>& gate, const torch::Tensor& token,
                               int64_t batch, int64_t tokens) {
    const auto x = expert_outputs.contiguous();
    const auto factors = gate.has_value() ? gate->contiguous() : torch::Tensor();
    auto out =
        at::empty({batch, tokens, x.size(2)}, is_mixed(x) ? torch::kFloat32 : x.scalar_type());
    sum_rows(x, factors, rows_of_targets(token, batch * tokens), out);  // [batch, tokens, dim]
    const bool keeps_x = gate.has_value() && gate->requires_grad();
    context->save_for_backward({keeps_x ? x : torch::Tensor(), factors, token});
    context->saved_data["dtype"] = static_cast<int64_t>(x.scalar_type());
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list d_outputs) {
    const auto saved = context->get_saved_variables();
    const auto& [x, gate, token] = std::tie(saved[0], saved[1], saved[2]);
    const auto d_out = d_outputs[0].contiguous();  // [batch, tokens, dim]
    const auto dtype = static_cast<torch::Dtype>(context->saved_data["dtype"].toInt());
    auto d_x = at::empty({token.size(0), token.size(1), d_out.size(2)}, dtype);
    const auto d_gate = x.defined() ? at::empty_like(gate) : torch::Tensor();  // [experts, rows]
    sum_rows_backward(x, gate, token, d_out, d_x, d_gate);
    return {d_x, d_gate, {}, {}, {}};
  }
};

/// The plain operators: for devices and dtypes that have no kernels.
torch::Tensor gather_plain(const torch::Tensor& tokens, const SparseRows& rows) {
  const auto index = rows.token.flatten().clamp_min(0);  // [experts * rows]
  return tokens.flatten(0, 1).index_select(0, index).view(
      {rows.token.size(0), rows.token.size(1), tokens.size(2)});  // [experts, rows, dim]
}

torch::Tensor scatter_plain(const torch::Tensor& expert_outputs, const SparseRows& rows) {
  const int64_t dim = expert_outputs.size(2);
  auto weighted = expert_outputs;  // [experts, rows, dim]
  if (rows.gate.defined()) {
    weighted = weighted * rows.gate.unsqueeze(2).to(weighted.dtype());
  }
  // Empty rows meet in one spare token behind the others.
  const int64_t count = rows.batch * rows.tokens;
  const auto target = rows.token.flatten();                    // [experts * rows]
  const auto index = torch::where(target < 0, count, target);  // [experts * rows]
  return torch::zeros({count + 1, dim}, weighted.options())
      .index_add(0, index, weighted.reshape({-1, dim}))
      .narrow(0, 0, count)
      .view({rows.batch, rows.tokens, dim});  // [batch, tokens, dim]
}

}  // namespace

SparseRows rows_from_places(const torch::Tensor& place, const torch::Tensor& gate, int64_t experts,
                            int64_t rows, int64_t batch) {
  check_shape("rows_from_places: place", place, {-1, -1});
  const int64_t choices = place.size(1);
  // Dropped pairs meet in one spare place behind the others.
  const auto target = place.flatten();                                 // [pairs]
  const auto slot = torch::where(target < 0, experts * rows, target);  // [pairs]
  const auto pair = torch::full({experts * rows + 1}, -1, place.options())
                        .scatter(0, slot, torch::arange(slot.size(0), place.options()))
                        .narrow(0, 0, experts * rows);  // [experts * rows]
  SparseRows result;
  result.batch = batch;
  result.tokens = place.size(0) / batch;
  result.token = torch::where(pair < 0, pair, pair.div(choices, "floor"))
                     .view({experts, rows});  // [experts, rows]
  if (gate.defined()) {
    const auto of_pair = gate.flatten().index_select(0, pair.clamp_min(0));  // [experts * rows]
    result.gate = of_pair.masked_fill(pair < 0, 0.0).view({experts, rows});
  }
  return result;
}

SparseRows rows_from_pairs(const torch::Tensor& token, const torch::Tensor& expert,
                           const torch::Tensor& gate, int64_t experts, int64_t batch,
                           int64_t tokens) {
  check_shape("rows_from_pairs: token", token, {expert.size(0)});
  const auto load = expert.bincount(/*weights=*/{}, experts);  // [experts]
  const int64_t rows = std::max<int64_t>(load.max().item<int64_t>(), 1);
  const auto first = load.cumsum(0) - load;  // [experts]
  const auto place = torch::arange(expert.size(0), expert.options()) -
                     first.index_select(0, expert) + expert * rows;  // [pairs]
  SparseRows result;
  result.batch = batch;
  result.tokens = tokens;
  result.token = torch::full({experts * rows}, -1, token.options())
                     .scatter(0, place, token)
                     .view({experts, rows});  // [experts, rows]
  if (gate.defined()) {
    result.gate = torch::zeros({experts * rows}, gate.options())
                      .scatter(0, place, gate)
                      .view({experts, rows});  // [experts, rows]
  }
  return result;
}

SparseRows rows_of_experts(const torch::Tensor& expert, const torch::Tensor& gate,
                           int64_t experts) {
  check_shape("rows_of_experts: expert", expert, {-1, -1});
  const auto [sorted, token] =
      expert.flatten().sort(/*stable=*/true, /*dim=*/0, /*descending=*/false);  // [batch * tokens]
  const auto of_row = gate.defined() ? gate.flatten().index_select(0, token) : gate;
  return rows_from_pairs(token, sorted, of_row, experts, expert.size(0), expert.size(1));
}

torch::Tensor gather_rows(const torch::Tensor& tokens, const SparseRows& rows) {
  check_shape("gather_rows: tokens", tokens, {rows.batch, rows.tokens, -1});
  return row_ops_take(tokens) ? GatherFunction::apply(tokens, rows.token.contiguous())
                              : gather_plain(tokens, rows);  // [experts, rows, dim]
}

torch::Tensor scatter_rows(const torch::Tensor& expert_outputs, const SparseRows& rows) {
  check_shape("scatter_rows: expert outputs", expert_outputs,
              {rows.token.size(0), rows.token.size(1), -1});
  if (!row_ops_take(expert_outputs)) {
    return scatter_plain(expert_outputs, rows);  // [batch, tokens, dim]
  }
  const auto precision =
      expert_outputs.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  const auto gate = rows.gate.defined() ? rows.gate.to(precision) : rows.gate;  // [experts, rows]
  return ScatterFunction::apply(expert_outputs, optional_of(gate), rows.token.contiguous(),
                                rows.batch, rows.tokens);  // [batch, tokens, dim]
}

void record_rows(RoutingRecord& record, const SparseRows& rows,
                 const torch::Tensor& probabilities) {
  const torch::NoGradGuard no_grad;
  if (!record.wants.weights && !record.wants.load) {
    return;
  }
  const int64_t experts = rows.token.size(0);
  const int64_t count = rows.batch * rows.tokens;
  const auto used = rows.token >= 0;  // [experts, rows]
  const auto options = rows.token.options().dtype(torch::kFloat32);
  const auto gate = rows.gate.defined() ? rows.gate.to(torch::kFloat32) * used
                                        : used.to(torch::kFloat32);  // [experts, rows]
  const auto index =
      torch::where(used, rows.token, torch::full_like(rows.token, count));  // [experts, rows]
  const auto spread = [&](const torch::Tensor& values) {
    return torch::zeros({experts, count + 1}, options)
        .scatter_add(1, index, values)
        .narrow(1, 0, count);  // [experts, batch * tokens]
  };
  const auto dispatch = spread(used.to(torch::kFloat32));  // [experts, batch * tokens]
  if (record.wants.weights) {
    const auto shaped = [&](const torch::Tensor& values) {
      return values.t().reshape({rows.batch, rows.tokens, experts, 1});
    };
    record.dispatch = shaped(dispatch);
    record.combine = shaped(spread(gate));  // [batch, tokens, experts, 1]
  }
  if (record.wants.load) {
    const auto load = used.sum(1).to(torch::kFloat32);  // [experts]
    const auto weight = gate.sum(1);                    // [experts]
    record.load.load = load / load.sum().clamp_min(1.0);
    record.load.importance = weight / weight.sum().clamp_min(1e-20);
    record.load.dropped = (dispatch.sum(0) == 0).to(torch::kFloat32).mean();  // []
    record.load.entropy = torch::zeros({}, options);
    if (probabilities.defined()) {
      const auto p = probabilities.detach().to(torch::kFloat32);  // [batch * tokens, experts]
      record.load.entropy = -(p * p.clamp_min(1e-30).log()).sum(-1).mean();  // []
    }
  }
}

}  // namespace softmoe
