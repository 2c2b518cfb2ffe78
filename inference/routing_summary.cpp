#include "inference/routing_summary.h"

#include "core/error.h"
#include "softmoe/routing_statistics.h"

namespace softmoe {
namespace {

double share_of(const torch::Tensor& condition) {
  return condition.to(torch::kFloat64).mean().item<double>();
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
  return expert_importance.empty()
             ? 1.0
             : *std::max_element(expert_importance.begin(), expert_importance.end());
}

void RoutingSummary::add(const RoutingRecords& records) {
  const torch::NoGradGuard no_grad;
  for (const auto& [block, record] : records) {
    auto& [layer, images, importance] = blocks_[block];
    const auto statistics = routing_statistics(record);
    const auto count = static_cast<double>(record.dispatch.size(0));
    layer.block = block;
    layer.tokens = record.dispatch.size(1);
    layer.experts = record.dispatch.size(2);
    layer.slots_per_expert = record.dispatch.size(3);
    const auto of_experts =
        record.combine.to(torch::kCPU, torch::kFloat64).sum({0, 1, 3});  // [experts]
    importance = importance.defined() ? importance + of_experts : of_experts;
    const auto add_mean = [&](double& sum, double mean) { sum += count * mean; };
    add_mean(layer.tokens_for_90_percent,
             statistics.tokens_per_slot.to(torch::kFloat64).mean().item<double>());
    add_mean(layer.contribution_above_2, share_of(statistics.token_contribution.gt(2.0)));
    add_mean(layer.contribution_up_to_quarter, share_of(statistics.token_contribution.le(0.25)));
    add_mean(layer.dispatch_max, statistics.dispatch_max.item<double>());
    add_mean(layer.combine_max, statistics.combine_max.item<double>());
    add_mean(layer.dispatch_similarity, statistics.dispatch_similarity.mean.item<double>());
    add_mean(layer.combine_similarity, statistics.combine_similarity.mean.item<double>());
    images += count;
  }
}

std::vector<LayerRouting> RoutingSummary::layers() const {
  std::vector<LayerRouting> layers;
  for (const auto& [block, sums] : blocks_) {
    auto layer = sums.layer;
    for (auto member : {&LayerRouting::tokens_for_90_percent, &LayerRouting::contribution_above_2,
                        &LayerRouting::contribution_up_to_quarter, &LayerRouting::dispatch_max,
                        &LayerRouting::combine_max, &LayerRouting::dispatch_similarity,
                        &LayerRouting::combine_similarity}) {
      layer.*member /= sums.images;
    }
    const auto relative = (sums.importance / sums.importance.min()).contiguous();  // [experts]
    const auto* values = relative.const_data_ptr<double>();
    layer.expert_importance.assign(values, values + relative.numel());
    layers.push_back(std::move(layer));
  }
  return layers;
}

Json to_json(const LayerRouting& layer) {
  Json json;
  json["block"] = layer.block;
  json["tokens"] = layer.tokens;
  json["experts"] = layer.experts;
  json["slots_per_expert"] = layer.slots_per_expert;
  json["importance_spread"] = layer.importance_spread();
  json["tokens_for_90_percent"] = layer.tokens_for_90_percent;
  json["contribution_above_2"] = layer.contribution_above_2;
  json["contribution_up_to_quarter"] = layer.contribution_up_to_quarter;
  json["dispatch_max"] = layer.dispatch_max;
  json["combine_max"] = layer.combine_max;
  json["dispatch_similarity"] = layer.dispatch_similarity;
  json["combine_similarity"] = layer.combine_similarity;
  json["expert_importance"] = layer.expert_importance;
  return json;
}

}  // namespace softmoe
