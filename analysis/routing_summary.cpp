#include "analysis/routing_summary.h"

#include <algorithm>
#include <array>

#include "analysis/routing_statistics.h"
#include "core/error.h"

namespace softmoe {
namespace {

/// The layers that a number applies to.
enum class Layers { kAll, kWithSlots, kSparse };

/// A number of a layer that is averaged over images.
struct Statistic {
  const char* name;
  double LayerRouting::*member;
  Layers layers;
};

constexpr std::array kStatistics{
    Statistic{"tokens_for_90_percent", &LayerRouting::tokens_for_90_percent, Layers::kWithSlots},
    Statistic{"contribution_above_2", &LayerRouting::contribution_above_2, Layers::kWithSlots},
    Statistic{"contribution_up_to_quarter", &LayerRouting::contribution_up_to_quarter,
              Layers::kWithSlots},
    Statistic{"dispatch_max", &LayerRouting::dispatch_max, Layers::kWithSlots},
    Statistic{"dispatch_similarity", &LayerRouting::dispatch_similarity, Layers::kWithSlots},
    Statistic{"experts_per_token", &LayerRouting::experts_per_token, Layers::kSparse},
    Statistic{"dropped", &LayerRouting::dropped, Layers::kSparse},
    Statistic{"combine_max", &LayerRouting::combine_max, Layers::kAll},
    Statistic{"combine_similarity", &LayerRouting::combine_similarity, Layers::kAll},
};

bool applies(const Statistic& statistic, bool is_sparse) {
  return statistic.layers == Layers::kAll || (statistic.layers == Layers::kSparse) == is_sparse;
}

double mean_of(const torch::Tensor& values) {
  return values.to(torch::kFloat64).mean().item<double>();
}

/// The averaged numbers of one batch.
LayerRouting batch_numbers(const RoutingRecord& record, bool is_sparse) {
  const auto statistics = routing_statistics(record);
  LayerRouting numbers;
  numbers.combine_max = mean_of(statistics.combine_max);
  numbers.combine_similarity = mean_of(statistics.combine_similarity.mean);
  if (is_sparse) {
    numbers.experts_per_token = mean_of(statistics.token_contribution);
    numbers.dropped = mean_of(statistics.token_contribution.eq(0));
    return numbers;
  }
  numbers.tokens_for_90_percent = mean_of(statistics.tokens_per_slot);
  numbers.contribution_above_2 = mean_of(statistics.token_contribution.gt(2.0));
  numbers.contribution_up_to_quarter = mean_of(statistics.token_contribution.le(0.25));
  numbers.dispatch_max = mean_of(statistics.dispatch_max);
  numbers.dispatch_similarity = mean_of(statistics.dispatch_similarity.mean);
  return numbers;
}

/// Weights [batch, tokens, experts, slots_per_expert] by expert: [experts] float64.
torch::Tensor by_expert(const torch::Tensor& weights) {
  return weights.to(torch::kCPU, torch::kFloat64).sum({0, 1, 3});  // [experts]
}

void accumulate(torch::Tensor& sum, const torch::Tensor& values) {
  sum = sum.defined() ? sum + values : values;
}

std::vector<double> values_of(const torch::Tensor& tensor) {
  const auto values = tensor.contiguous();
  const auto* first = values.const_data_ptr<double>();
  return {first, first + values.numel()};
}

}  // namespace

RoutingRecords record_routing(VisionTransformer& model, const std::string& name,
                              const torch::Tensor& images) {
  TORCH_CHECK_VALUE(!model->is_training(), "record_routing: expected a model in evaluation mode");
  const torch::InferenceMode inference;
  RoutingRecords records;
  model->forward_tokens(images, &records);
  if (records.empty()) {
    throw InputError(name, "a model with MoE layers", "dense blocks only");
  }
  for (const auto& [block, record] : records) {
    if (!record.dispatch.defined() || !record.combine.defined()) {
      throw InputError(name + ": the MoE layer of block " + std::to_string(block),
                       "a router with dispatch and combine weights", "one without");
    }
  }
  return records;
}

double LayerRouting::importance_spread() const {
  if (expert_importance.empty()) {
    return 1.0;
  }
  const auto [min, max] = std::minmax_element(expert_importance.begin(), expert_importance.end());
  return *max / *min;
}

RoutingSummary::RoutingSummary(RoutingKind kind) : is_sparse_(kind == RoutingKind::kSparse) {
  TORCH_CHECK_VALUE(kind != RoutingKind::kMerged, "RoutingSummary: merged experts get no tokens");
}

void RoutingSummary::add(const RoutingRecords& records) {
  const torch::NoGradGuard no_grad;
  for (const auto& [block, record] : records) {
    auto& sums = blocks_[block];
    auto& layer = sums.layer;
    layer.block = block;
    layer.tokens = record.dispatch.size(1);
    layer.experts = record.dispatch.size(2);
    layer.slots_per_expert = record.dispatch.size(3);
    layer.is_sparse = is_sparse_;
    const auto images = static_cast<double>(record.dispatch.size(0));
    const auto numbers = batch_numbers(record, is_sparse_);
    for (const auto& statistic : kStatistics) {
      layer.*statistic.member += images * numbers.*statistic.member;
    }
    sums.images += images;
    accumulate(sums.importance, by_expert(record.combine));
    accumulate(sums.load, by_expert(record.dispatch));
  }
}

std::vector<LayerRouting> RoutingSummary::layers() const {
  std::vector<LayerRouting> layers;
  for (const auto& [block, sums] : blocks_) {
    auto layer = sums.layer;
    for (const auto& statistic : kStatistics) {
      layer.*statistic.member /= sums.images;
    }
    const auto& importance = sums.importance;  // [experts]
    layer.expert_importance =
        values_of(importance / (is_sparse_ ? importance.mean() : importance.min()));
    if (is_sparse_) {
      layer.expert_load = values_of(sums.load / sums.load.mean());
    }
    layers.push_back(std::move(layer));
  }
  return layers;
}

Json to_json(const LayerRouting& layer) {
  Json json;
  json["block"] = layer.block;
  json["tokens"] = layer.tokens;
  json["experts"] = layer.experts;
  if (!layer.is_sparse) {
    json["slots_per_expert"] = layer.slots_per_expert;
    json["importance_spread"] = layer.importance_spread();
  } else {
    const auto& load = layer.expert_load;
    json["busiest_expert"] = *std::max_element(load.begin(), load.end());
    json["idle_experts"] = std::count(load.begin(), load.end(), 0.0);
    json["expert_load"] = load;
  }
  json["expert_importance"] = layer.expert_importance;
  for (const auto& statistic : kStatistics) {
    if (applies(statistic, layer.is_sparse)) {
      json[statistic.name] = layer.*statistic.member;
    }
  }
  return json;
}

}  // namespace softmoe
