#include "analysis/routing_statistics.h"

#include <limits>

#include "ops/soft_routing.h"

namespace softmoe {
namespace {

constexpr double kEps = 1e-9;

torch::Tensor cosine_of_columns(const torch::Tensor& vectors) {
  const auto unit = l2_normalize(vectors, /*axis=*/-2, kEps);  // [..., dim, count]
  return unit.transpose(-1, -2).matmul(unit);                  // [..., count, count]
}

}  // namespace

Similarity column_similarity(const torch::Tensor& vectors) {
  const auto cosine = cosine_of_columns(vectors);  // [..., count, count]
  const int64_t count = cosine.size(-1);
  const auto pairs =
      torch::ones({count, count}, torch::kBool).triu(1).to(cosine.device());  // [count, count]
  const auto values = cosine.masked_select(pairs);
  if (values.numel() == 0) {
    const auto none = torch::full({}, std::numeric_limits<double>::quiet_NaN(), cosine.options());
    return {.min = none, .max = none, .mean = none};
  }
  return {.min = values.min(), .max = values.max(), .mean = values.mean()};
}

RoutingStatistics routing_statistics(const RoutingRecord& record) {
  TORCH_CHECK_VALUE(record.dispatch.defined() && record.combine.defined(),
                    "routing_statistics: the router keeps no dispatch and combine weights");
  const auto dispatch = record.dispatch.flatten(2).to(torch::kFloat32);  // [batch, tokens, slots]
  const auto combine = record.combine.flatten(2).to(torch::kFloat32);    // [batch, tokens, slots]
  RoutingStatistics statistics;
  statistics.token_contribution = dispatch.sum(2);                            // [batch, tokens]
  const auto importance = record.combine.to(torch::kFloat32).sum({0, 1, 3});  // [experts]
  statistics.expert_importance = importance / importance.min();               // [experts]
  const auto sorted = std::get<0>(dispatch.sort(/*dim=*/1, /*descending=*/true));
  statistics.tokens_per_slot = sorted.cumsum(1).lt(0.9).sum(1) + 1;   // [batch, slots]
  statistics.slot_correlation = cosine_of_columns(dispatch).mean(0);  // [slots, slots]
  statistics.dispatch_min = dispatch.amin(1).mean();                  // []
  statistics.dispatch_max = dispatch.amax(1).mean();                  // []
  statistics.combine_min = combine.amin(2).mean();                    // []
  statistics.combine_max = combine.amax(2).mean();                    // []
  statistics.dispatch_similarity = column_similarity(dispatch);
  statistics.combine_similarity = column_similarity(combine.transpose(1, 2));
  return statistics;
}

}  // namespace softmoe
