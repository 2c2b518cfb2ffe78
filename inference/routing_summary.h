#pragma once
/// What the MoE layers of a model do with many images, in numbers.

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/options.h"
#include "vit/vision_transformer.h"

namespace softmoe {

/// The routing of every MoE block for `images` [batch, in_chans, height, width], by the number of
/// the block; the model must be in evaluation mode. Throws InputError that names `name` where the
/// model has no MoE block, or a router that keeps no dispatch and combine weights.
RoutingRecords record_routing(VisionTransformer& model, const std::string& name,
                              const torch::Tensor& images);

/// One MoE block, averaged over the images that were seen.
struct LayerRouting {
  int64_t block = 0;
  int64_t tokens = 0;
  int64_t experts = 0;
  int64_t slots_per_expert = 0;
  /// Combine weights of each expert, summed over slots and tokens, relative to the least important
  /// expert (Soft MoE paper, appendix E).
  std::vector<double> expert_importance{};
  double tokens_for_90_percent = 0;  ///< tokens that carry 90 % of a slot's weight
  /// Shares of the tokens by the sum of their dispatch weights, whose mean is slots / tokens.
  double contribution_above_2 = 0;
  double contribution_up_to_quarter = 0;
  double dispatch_max = 0;         ///< largest weight of a slot, mean over slots
  double combine_max = 0;          ///< largest weight of a token, mean over tokens
  double dispatch_similarity = 0;  ///< mean cosine between two slots
  double combine_similarity = 0;   ///< mean cosine between two tokens

  double importance_spread() const;  ///< most over least important expert
};

/// Gathers LayerRouting batch by batch, so that the memory of one batch suffices.
class RoutingSummary {
 public:
  void add(const RoutingRecords& records);
  /// By block.
  std::vector<LayerRouting> layers() const;

 private:
  /// A block so far: the numbers of LayerRouting summed over images.
  struct Sums {
    LayerRouting layer{};
    double images = 0;
    torch::Tensor importance;  // [experts] float64
  };
  std::map<int64_t, Sums> blocks_;
};

Json to_json(const LayerRouting& layer);

}  // namespace softmoe
