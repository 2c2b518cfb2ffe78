#pragma once
/// Names of parameters within blocks, and what an expert's are called in a dense model.

#include <cstdint>
#include <optional>
#include <string>

namespace softmoe {

/// "blocks.<block>.<rest>" in its parts.
struct BlockParameter {
  int64_t block = 0;
  std::string rest;
};

/// Nothing for names outside blocks.
std::optional<BlockParameter> block_parameter(const std::string& name);

/// "moe.experts.fc1_weight" of "mlp.fc1.weight", and so on; nothing for what is no part of an MLP.
std::optional<std::string> expert_name(const std::string& mlp_name);

/// The way back.
std::optional<std::string> mlp_name(const std::string& expert_name);

/// "blocks.<block>.<rest>".
std::string block_name(int64_t block, const std::string& rest);

}  // namespace softmoe
