#include "train/group_exchange.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "parallel/row_exchange.h"

namespace softmoe {
namespace {

std::vector<int64_t> counts_in(const torch::Tensor& values) {
  const auto plain = values.cpu().contiguous();
  const auto* first = plain.const_data_ptr<int64_t>();
  return {first, first + plain.numel()};
}

std::vector<int64_t> equal_counts(int64_t ranks, int64_t count) {
  return std::vector<int64_t>(static_cast<size_t>(ranks), count);
}

/// Where the rows that came from `ranks` stand among the inputs of the experts of this process:
/// [rows], in the order in which they came, expert * room + row. `counts` [ranks, experts] are the
/// rows of each rank for each expert; an expert has `room` rows.
torch::Tensor places_of(const torch::Tensor& counts, int64_t room) {
  const auto lengths = counts.flatten();                             // [ranks * experts]
  const auto experts = at::arange(counts.size(1), counts.options())  // [experts]
                           .repeat({counts.size(0)});                // [ranks * experts]
  const auto before = (counts.cumsum(0) - counts).flatten();         // [ranks * experts]
  const auto first = experts * room + before - (lengths.cumsum(0) - lengths);
  return first.repeat_interleave(lengths) +
         at::arange(lengths.sum().item<int64_t>(), counts.options());  // [rows]
}

}  // namespace

GroupExchange::GroupExchange(World group, bool even_batches, std::optional<torch::Dtype> payload)
    : group_(std::move(group)), even_batches_(even_batches), payload_(payload) {}

torch::Tensor GroupExchange::run(const torch::Tensor& inputs, const torch::Tensor& used,
                                 bool is_training, const OwnExperts& own_experts) const {
  return used.defined() ? run_used(inputs, used, own_experts)
                        : run_all(inputs, is_training && even_batches_, own_experts);
}

torch::Tensor GroupExchange::run_all(const torch::Tensor& inputs, bool same_rows,
                                     const OwnExperts& own_experts) const {
  const int64_t ranks = group_.size();
  const int64_t experts = inputs.size(0);
  const int64_t own = experts / ranks;
  const int64_t rows = inputs.size(1);
  const int64_t dim = inputs.size(2);
  auto rows_of = equal_counts(ranks, rows);
  if (!same_rows) {
    const auto one_each = equal_counts(ranks, 1);
    rows_of = counts_in(
        group_.exchange(at::full({ranks}, rows, torch::kInt64), one_each, one_each));  // [ranks]
  }
  RowCounts counts{.send = equal_counts(ranks, own * rows), .receive = rows_of};
  for (auto& count : counts.receive) {
    count *= own;
  }
  const auto came = exchange_rows(group_, inputs.reshape({experts * rows, dim}), counts, payload_);
  std::vector<torch::Tensor> parts;
  for (const auto& part : came.split_with_sizes(counts.receive)) {
    parts.push_back(part.view({own, -1, dim}));  // [own, rows of a rank, dim]
  }
  const auto outputs = own_experts(at::cat(parts, 1));  // [own, rows of all, dim]
  parts.clear();
  for (const auto& part : outputs.split_with_sizes(rows_of, 1)) {
    parts.push_back(part.reshape({-1, dim}));  // [own * rows of a rank, dim]
  }
  return exchange_rows(group_, at::cat(parts), counts.reversed(), payload_)
      .view({experts, rows, dim});  // [experts, rows, dim]
}

torch::Tensor GroupExchange::run_used(const torch::Tensor& inputs, const torch::Tensor& used,
                                      const OwnExperts& own_experts) const {
  const int64_t ranks = group_.size();
  const int64_t own = inputs.size(0) / ranks;
  const int64_t dim = inputs.size(2);
  const auto sent = used.sum(1);  // [experts]
  const auto received = group_.exchange(sent, equal_counts(ranks, own), equal_counts(ranks, own))
                            .view({ranks, own});  // [ranks, own]
  const RowCounts counts{.send = counts_in(sent.view({ranks, own}).sum(1)),
                         .receive = counts_in(received.sum(1))};
  const auto index = used.flatten().nonzero().flatten();  // [rows that count]
  const auto came = exchange_rows(group_, inputs.flatten(0, 1).index_select(0, index), counts,
                                  payload_);  // [rows that came, dim]
  const int64_t room = std::max<int64_t>(1, received.sum(0).max().item<int64_t>());
  const auto places = places_of(received, room);  // [rows that came]
  const auto outputs = own_experts(at::zeros({own * room, dim}, came.options())
                                       .index_copy(0, places, came)
                                       .view({own, room, dim}));  // [own, room, dim]
  const auto back = exchange_rows(group_, outputs.flatten(0, 1).index_select(0, places),
                                  counts.reversed(), payload_);  // [rows that count, dim]
  return at::zeros({inputs.size(0) * inputs.size(1), dim}, back.options())
      .index_copy(0, index, back)
      .view(inputs.sizes());  // [experts, rows, dim]
}

}  // namespace softmoe
