#include "softmoe/sparse_rows.h"

#include "core/tensor_check.h"
#include "ops/rows.h"
#include "softmoe/router.h"

namespace softmoe {
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
  TORCH_CHECK_VALUE(load.size(0) == experts, "rows_from_pairs: expected experts below ", experts,
                    ", found ", load.size(0) - 1);
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

SparseRows rows_of_chosen_tokens(const TopGates& chosen, int64_t tokens, int64_t batch) {
  const int64_t groups = chosen.index.size(0);
  TORCH_CHECK_VALUE(batch > 0 && groups * tokens % batch == 0, "rows_of_chosen_tokens: ", groups,
                    " groups of ", tokens, " tokens from ", batch, " images");
  const auto first = torch::arange(groups, chosen.index.options()) * tokens;  // [groups]
  const auto by_expert = [](const torch::Tensor& values) {
    return values.transpose(0, 1).flatten(1, 2);  // [experts, groups * capacity]
  };
  SparseRows rows;
  rows.token = by_expert(chosen.index + first.view({groups, 1, 1}));
  rows.gate = by_expert(chosen.gate);
  rows.batch = batch;
  rows.tokens = groups * tokens / batch;
  return rows;
}

torch::Tensor gather_rows(const torch::Tensor& tokens, const SparseRows& rows) {
  check_shape("gather_rows: tokens", tokens, {rows.batch, rows.tokens, -1});
  return take_rows(tokens, rows.token);  // [experts, rows, dim]
}

torch::Tensor scatter_rows(const torch::Tensor& expert_outputs, const SparseRows& rows) {
  check_shape("scatter_rows: expert outputs", expert_outputs,
              {rows.token.size(0), rows.token.size(1), -1});
  return sum_rows(expert_outputs, rows.gate, rows.token, rows.batch * rows.tokens)
      .view({rows.batch, rows.tokens, expert_outputs.size(2)});  // [batch, tokens, dim]
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
