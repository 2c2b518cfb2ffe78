#include "vit/block_list.h"

#include <algorithm>
#include <utility>

#include "ops/recomputed.h"
#include "vit/moe_blocks.h"

namespace softmoe {

torch::nn::ModuleList make_blocks(const VitOptions& options) {
  const auto mask = moe_block_mask(options.moe_blocks, options.depth);
  torch::nn::ModuleList blocks;
  for (int64_t block = 0; block < options.depth; ++block) {
    const double depth_share =
        static_cast<double>(block) / static_cast<double>(std::max<int64_t>(1, options.depth - 1));
    blocks->push_back(
        Block(options, mask[static_cast<size_t>(block)], options.drop_path * depth_share));
  }
  return blocks;
}

BlockImpl& block_of(const torch::nn::ModuleList& blocks, int64_t index) {
  return *blocks->ptr<BlockImpl>(static_cast<size_t>(index));
}

RoutingRecords records_of(const torch::nn::ModuleList& blocks, const RoutingWants& wants) {
  RoutingRecords records;
  for (int64_t index = 0; index < static_cast<int64_t>(blocks->size()); ++index) {
    if (block_of(blocks, index).has_moe()) {
      records[index].wants = wants;
    }
  }
  return records;
}

torch::Tensor run_block(BlockImpl& block, const torch::Tensor& tokens, const TokenContext& context,
                        RoutingRecord* record, bool recomputes) {
  const bool has_gradients = record != nullptr && (record->wants.weights || record->wants.scores);
  if (!recomputes || !block.is_training() || !torch::GradMode::is_enabled() || has_gradients) {
    return block.forward(tokens, context, record);  // [batch, tokens, dim]
  }
  // The record is filled by the first call alone.
  const auto run = [&block, context, first = record](const torch::Tensor& x) mutable {
    return block.forward(x, context, std::exchange(first, nullptr));
  };
  return recomputed(tokens, block.buffers(), run);  // [batch, tokens, dim]
}

}  // namespace softmoe
