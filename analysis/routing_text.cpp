#include "analysis/routing_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/table.h"

namespace softmoe {
namespace {

std::string sparse_table(const std::vector<LayerRouting>& layers) {
  TextTable table({"block", "tokens", "experts", "experts of a token", "dropped",
                   "busiest expert / mean", "idle experts", "token similarity"});
  for (const auto& layer : layers) {
    const auto& load = layer.expert_load;
    table.add_row({std::to_string(layer.block), std::to_string(layer.tokens),
                   std::to_string(layer.experts), fmt::format("{:.2f}", layer.experts_per_token),
                   fmt::format("{:.1f} %", 100 * layer.dropped),
                   fmt::format("{:.2f}", *std::max_element(load.begin(), load.end())),
                   std::to_string(std::count(load.begin(), load.end(), 0.0)),
                   fmt::format("{:.3f}", layer.combine_similarity)});
  }
  return table.text();
}

std::string slots_table(const std::vector<LayerRouting>& layers) {
  TextTable table({"block", "tokens", "experts", "slots", "importance max/min", "tokens for 90 %",
                   "tokens > 2", "tokens <= 0.25", "slot similarity", "token similarity"});
  for (const auto& layer : layers) {
    table.add_row({std::to_string(layer.block), std::to_string(layer.tokens),
                   std::to_string(layer.experts),
                   std::to_string(layer.experts * layer.slots_per_expert),
                   fmt::format("{:.2f}", layer.importance_spread()),
                   fmt::format("{:.1f}", layer.tokens_for_90_percent),
                   fmt::format("{:.1f} %", 100 * layer.contribution_above_2),
                   fmt::format("{:.1f} %", 100 * layer.contribution_up_to_quarter),
                   fmt::format("{:.3f}", layer.dispatch_similarity),
                   fmt::format("{:.3f}", layer.combine_similarity)});
  }
  return table.text();
}

}  // namespace

std::string sheet_caption(RoutingKind kind, size_t drawn, int64_t all, const std::string& choice) {
  if (kind == RoutingKind::kSparse) {
    return fmt::format(
        "{} of {} experts ({}). Above: which patches an expert gets; below: what its outputs for "
        "them are multiplied by. \"all experts\": the experts of a patch, and the largest of its "
        "factors. Colours run from 0 to the largest value of the map, written below it.",
        drawn, all, choice);
  }
  return fmt::format(
      "{} of {} slots ({}). Above: which patches a slot is made of; below: which patches its "
      "output goes to. \"all slots\": the sum of a patch's dispatch weights and the largest of "
      "its combine weights. Colours run from 0 to the largest weight of the map, written below "
      "it.",
      drawn, all, choice);
}

std::string routing_table(const std::vector<LayerRouting>& layers) {
  return layers.front().is_sparse ? sparse_table(layers) : slots_table(layers);
}

}  // namespace softmoe
