#pragma once
/// Which parameters of a model learn; the others are frozen: they get no gradients and no optimizer
/// state.
///
/// The groups follow the subsets that ST-MoE compares for fine-tuning (Zoph et al.,
/// arXiv:2202.08906, section 4.2): all parameters, those outside the MoE layers, the MoE layers
/// with their routers, the attention layers, the dense MLPs. Norms, embeddings and LayerScale are
/// in "all" and "non_moe" alone. The source has no separate head; here the head always learns,
/// since it belongs to the new task, unless it is frozen by name.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/options.h"

namespace torch::nn {
class Module;
}

namespace softmoe {

/// Each item is the name of a group, or a regular expression that matches a part of a parameter's
/// name.
struct TrainableOptions {
  std::vector<std::string> trainable{"all"};  ///< what learns, beside the head
  std::vector<std::string> freeze = {};       ///< what of these does not learn

  bool operator==(const TrainableOptions&) const = default;
};
void describe(OptionTable& table, TrainableOptions& options);

/// A group that options can name.
struct ParameterGroup {
  std::string_view name;
  std::string_view meaning;
  std::string_view pattern;  ///< a regular expression of the names of its parameters
};
/// all, non_moe, moe, attention, ffn, router (and its other name, gates), experts, head.
std::span<const ParameterGroup> parameter_groups();

/// Returns, for each of `names`, the parameters of a model, true if it learns. Throws UsageError
/// for an item that is no regular expression or that no name matches, and if nothing learns.
std::vector<bool> learning_mask(const TrainableOptions& options,
                                const std::vector<std::string>& names);

/// How many of a model's parameters, counted by their elements, learn.
struct LearningShare {
  int64_t learning = 0;
  int64_t total = 0;

  double share() const {
    return total > 0 ? static_cast<double>(learning) / static_cast<double>(total) : 0.0;
  }
};

/// Makes the parameters of `module` require gradients or not, as `options` say. Call it before the
/// optimizer is made.
LearningShare set_trainable(torch::nn::Module& module, const TrainableOptions& options);

}  // namespace softmoe
