#pragma once
/// The blocks of a transformer, one after the other.

#include <torch/nn/modules/container/modulelist.h>

#include <map>

#include "vit/block.h"

namespace softmoe {

/// The routing of every MoE block of one forward pass, by the number of the block. A record that is
/// there beforehand says what it wants; missing ones are made and want weights.
using RoutingRecords = std::map<int64_t, RoutingRecord>;

/// All blocks of a model of `options`; stochastic depth grows linearly from 0 at the first.
torch::nn::ModuleList make_blocks(const VitOptions& options);

/// Block number `index` of `blocks`.
BlockImpl& block_of(const torch::nn::ModuleList& blocks, int64_t index);

/// One record for each MoE block that wants `wants`.
RoutingRecords records_of(const torch::nn::ModuleList& blocks, const RoutingWants& wants);

/// `tokens` [batch, tokens, dim] through `block`. If `recomputes`, an active training pass keeps no
/// activations of it but computes them again in the backward pass; a block whose record carries
/// gradients keeps its own.
torch::Tensor run_block(BlockImpl& block, const torch::Tensor& tokens, const TokenContext& context,
                        RoutingRecord* record, bool recomputes);

}  // namespace softmoe
