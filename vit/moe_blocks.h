#pragma once
/// The blocks of a model that have MoE layers, in words.

#include <cstdint>
#include <string>
#include <vector>

namespace softmoe {

/// The blocks that have MoE layers, from "none", "all", "last_half", "last_N", "every_N" (blocks
/// N-1, 2N-1, ...) or a list "1,3,5"; one entry per block. Throws UsageError.
std::vector<bool> moe_block_mask(const std::string& moe_blocks, int64_t depth);

/// The word that moe_block_mask() reads as `mask`, a list of blocks if there is no other.
std::string moe_blocks_text(const std::vector<bool>& mask);

}  // namespace softmoe
