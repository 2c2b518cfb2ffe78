#include "checkpoints/parameter_names.h"

#include <array>
#include <charconv>

namespace softmoe {
namespace {

struct MlpName {
  std::string_view mlp;
  std::string_view expert;
};

constexpr std::array kMlpNames{
    MlpName{"mlp.fc1.weight", "moe.experts.fc1_weight"},
    MlpName{"mlp.fc1.bias", "moe.experts.fc1_bias"},
    MlpName{"mlp.fc2.weight", "moe.experts.fc2_weight"},
    MlpName{"mlp.fc2.bias", "moe.experts.fc2_bias"},
};

constexpr std::string_view kBlocks = "blocks.";

}  // namespace

std::optional<BlockParameter> block_parameter(const std::string& name) {
  if (!name.starts_with(kBlocks)) {
    return std::nullopt;
  }
  BlockParameter parameter;
  const char* const first = name.data() + kBlocks.size();
  const char* const last = name.data() + name.size();
  const auto [end, error] = std::from_chars(first, last, parameter.block);
  if (error != std::errc() || end == last || *end != '.') {
    return std::nullopt;
  }
  parameter.rest.assign(end + 1, last);
  return parameter;
}

std::optional<std::string> expert_name(const std::string& mlp_name) {
  for (const auto& row : kMlpNames) {
    if (row.mlp == mlp_name) {
      return std::string(row.expert);
    }
  }
  return std::nullopt;
}

std::optional<std::string> mlp_name(const std::string& expert_name) {
  for (const auto& row : kMlpNames) {
    if (row.expert == expert_name) {
      return std::string(row.mlp);
    }
  }
  return std::nullopt;
}

std::string block_name(int64_t block, const std::string& rest) {
  return std::string(kBlocks) + std::to_string(block) + "." + rest;
}

bool belongs_to_head(std::string_view name) {
  return name.starts_with("head.") || name.starts_with("head_dist.");
}

}  // namespace softmoe
