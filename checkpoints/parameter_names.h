#pragma once
/// Names of a model's parameters: within blocks, of experts and MLPs, of heads.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace softmoe {

/// The parts of "blocks.<block>.<rest>".
struct BlockParameter {
  int64_t block = 0;
  std::string rest;
};

/// The parts of `name`; nothing for names outside blocks.
std::optional<BlockParameter> block_parameter(const std::string& name);

/// "moe.experts.fc1_weight" for "mlp.fc1.weight", and so on; nothing for names outside MLPs.
std::optional<std::string> expert_name(const std::string& mlp_name);

/// "mlp.fc1.weight" for "moe.experts.fc1_weight", and so on; nothing for names outside experts.
std::optional<std::string> mlp_name(const std::string& expert_name);

/// "blocks.<block>.<rest>".
std::string block_name(int64_t block, const std::string& rest);

/// Returns true for the tensors of all heads.
bool belongs_to_head(std::string_view name);

}  // namespace softmoe
