#pragma once
/// Statistics of the MoE layers of a model over many images.

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/options.h"
#include "softmoe/routers.h"
#include "vit/vision_transformer.h"

namespace softmoe {

/// The routing of every MoE block for `images` [batch, in_chans, height, width], by the number of
/// the block; the model must be in evaluation mode. Throws InputError that names `name` if the
/// model has no MoE block, or a router that keeps no dispatch and combine weights.
RoutingRecords record_routing(VisionTransformer& model, const std::string& name,
                              const torch::Tensor& images);

/// One MoE block, averaged over images.
struct LayerRouting {
  int64_t block = 0;
  int64_t tokens = 0;
  int64_t experts = 0;
  int64_t slots_per_expert = 0;
  /// True if experts get tokens, false if they get slots, which are mixtures of tokens.
  bool is_sparse = false;
  /// Combine weights of each expert, summed over slots and tokens, relative to the least important
  /// expert (Soft MoE paper, appendix E); of a sparse layer relative to their mean.
  std::vector<double> expert_importance{};
  double combine_max = 0;         ///< largest weight of a token, mean over tokens
  double combine_similarity = 0;  ///< mean cosine between two tokens

  // Of layers with slots.
  double tokens_for_90_percent = 0;  ///< tokens that carry 90 % of a slot's weight
  /// Shares of the tokens by the sum of their dispatch weights, whose mean is slots / tokens.
  double contribution_above_2 = 0;
  double contribution_up_to_quarter = 0;
  double dispatch_max = 0;         ///< largest weight of a slot, mean over slots
  double dispatch_similarity = 0;  ///< mean cosine between two slots

  // Of sparse layers.
  std::vector<double> expert_load{};  ///< tokens of each expert, relative to their mean
  double experts_per_token = 0;       ///< mean over tokens
  double dropped = 0;                 ///< share of the tokens that reach no expert

  double importance_spread() const;  ///< max of expert_importance over its min
};

/// Gathers LayerRouting batch by batch, with the memory of one batch.
class RoutingSummary {
 public:
  /// For layers whose router is of `kind`, which must not be kMerged.
  explicit RoutingSummary(RoutingKind kind = RoutingKind::kSoft);

  void add(const RoutingRecords& records);
  /// One entry per block, in their order.
  std::vector<LayerRouting> layers() const;

 private:
  /// A block so far: the numbers of LayerRouting summed over images.
  struct Sums {
    LayerRouting layer{};
    double images = 0;
    torch::Tensor importance;  // [experts] float64
    torch::Tensor load;        // [experts] float64
  };
  bool is_sparse_;
  std::map<int64_t, Sums> blocks_;
};

/// The numbers that apply to the layer, by name.
Json to_json(const LayerRouting& layer);

}  // namespace softmoe
