#include "train/trainable.h"

#include <fmt/format.h>
#include <torch/nn/module.h>

#include <algorithm>
#include <array>
#include <regex>

#include "core/error.h"
#include "core/registry.h"

namespace softmoe {
namespace {

constexpr std::array kGroups{
    ParameterGroup{"all", "every parameter", ""},
    ParameterGroup{"non_moe", "all outside the MoE layers",
                   R"(^(?!((image|text)\.)?blocks\.\d+\.moe\.))"},
    ParameterGroup{"moe", "MoE layers, with their routers",
                   R"(^((image|text)\.)?blocks\.\d+\.moe\.)"},
    ParameterGroup{"attention", "self-attention, and that of attention pooling",
                   R"(^((image|text)\.)?(blocks\.\d+\.attn\.|attn_pool\.)"
                   R"((latent$|q\.|kv\.|proj\.|q_norm\.|k_norm\.)))"},
    ParameterGroup{"ffn", "dense MLPs",
                   R"(^((image|text)\.)?(blocks\.\d+\.mlp\.|attn_pool\.mlp\.))"},
    ParameterGroup{"router", "routers of MoE layers",
                   R"(^((image|text)\.)?blocks\.\d+\.moe\.router\.)"},
    ParameterGroup{"gates", "another name of router",
                   R"(^((image|text)\.)?blocks\.\d+\.moe\.router\.)"},
    ParameterGroup{"experts", "experts of MoE layers",
                   R"(^((image|text)\.)?blocks\.\d+\.moe\.experts\.)"},
    ParameterGroup{"head", "the classifier", R"(^head(_dist)?\.)"},
};

const ParameterGroup* find_group(const std::string& name) {
  const auto found = std::find_if(kGroups.begin(), kGroups.end(),
                                  [&name](const ParameterGroup& row) { return row.name == name; });
  return found == kGroups.end() ? nullptr : &*found;
}

std::vector<bool> matches(const std::string& pattern, const std::vector<std::string>& names) {
  const std::regex expression(pattern);
  std::vector<bool> mask;
  for (const auto& name : names) {
    mask.push_back(std::regex_search(name, expression));
  }
  return mask;
}

bool any_of(const std::vector<bool>& mask) {
  return std::find(mask.begin(), mask.end(), true) != mask.end();
}

/// The names of the groups that have one of the parameters `names`.
std::string present_groups(const std::vector<std::string>& names) {
  std::string list;
  for (const auto& row : kGroups) {
    if (any_of(matches(std::string(row.pattern), names))) {
      list += (list.empty() ? "" : ", ") + std::string(row.name);
    }
  }
  return list;
}

/// The union of the parameters that the items of option `option` name.
std::vector<bool> named_by(const std::string& option, const std::vector<std::string>& items,
                           const std::vector<std::string>& names) {
  std::vector<bool> mask(names.size(), false);
  for (const auto& item : items) {
    const auto* group = find_group(item);
    std::vector<bool> found;
    try {
      found = matches(group != nullptr ? std::string(group->pattern) : item, names);
    } catch (const std::regex_error&) {
      throw UsageError("--" + option,
                       "one of " + present_groups(names) + ", or a regular expression",
                       "'" + item + "'");
    }
    if (!any_of(found)) {
      throw UsageError("--" + option,
                       "one of " + present_groups(names) +
                           ", or a regular expression that the name of a parameter matches",
                       "'" + item + "', which no parameter of this model matches");
    }
    for (size_t index = 0; index < names.size(); ++index) {
      mask[index] = mask[index] || found[index];
    }
  }
  return mask;
}

}  // namespace

void describe(OptionTable& table, TrainableOptions& options) {
  const std::string items = "names of groups (" + known_names(parameter_groups()) +
                            ") or regular expressions that match a part of a parameter's name";
  table.add("trainable", options.trainable,
            "which parameters learn beside the head, the others stay as they are: " + items);
  table.add("freeze", options.freeze, "which of these parameters do not learn, as in --trainable");
}

std::span<const ParameterGroup> parameter_groups() { return kGroups; }

std::vector<bool> learning_mask(const TrainableOptions& options,
                                const std::vector<std::string>& names) {
  auto mask = named_by("trainable", options.trainable, names);
  const auto head = matches(std::string(find_group("head")->pattern), names);
  const auto frozen = named_by("freeze", options.freeze, names);
  for (size_t index = 0; index < names.size(); ++index) {
    mask[index] = (mask[index] || head[index]) && !frozen[index];
  }
  if (!any_of(mask)) {
    throw UsageError("--freeze", "something that is left to learn", "nothing");
  }
  return mask;
}

LearningShare set_trainable(torch::nn::Module& module, const TrainableOptions& options) {
  const auto parameters = module.named_parameters();
  const auto mask = learning_mask(options, parameters.keys());
  LearningShare share;
  size_t index = 0;
  for (const auto& item : parameters) {
    auto parameter = item.value();
    const bool learns = mask[index++];
    parameter.requires_grad_(learns);
    share.total += parameter.numel();
    share.learning += learns ? parameter.numel() : 0;
  }
  return share;
}

}  // namespace softmoe
