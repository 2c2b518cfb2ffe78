#pragma once
/// Models with fewer experts, or none, from trained ones.

#include <cstdint>
#include <map>
#include <string>

#include "core/named_tensors.h"
#include "core/options.h"
#include "vit/options.h"

namespace softmoe {

/// The importance of each expert, [experts], by MoE block.
using ExpertImportance = std::map<int64_t, torch::Tensor>;

/// The experts that stay, [count] int64 in rising order, by MoE block.
using KeptExperts = std::map<int64_t, torch::Tensor>;

/// The `count` most important experts of each block; of equal ones those with lower numbers.
KeptExperts most_important_experts(const ExpertImportance& importance, int64_t count);

/// The options of a model `from` with `experts` experts per layer: soft layers keep the slots of
/// each expert as they were trained, so that they lose those of the others, and a token is sent to
/// at most `experts` experts. Throws InputError that names `path` if `from` has no MoE layers or
/// not more experts, or if its router cannot have that many.
VitOptions pruned_options(const VitOptions& from, int64_t experts, const std::string& path);

/// The weights of the model pruned_options(from, ...) from those of `from`: of every tensor of
/// experts and routers the part that belongs to the experts `kept`. If a router maps something to
/// experts by number (hash routing), the shares of the other experts are dealt out in turn.
NamedTensors prune_experts(const NamedTensors& weights, const VitOptions& from,
                           const VitOptions& pruned, const KeptExperts& kept);

/// The MLP that replaces a layer's experts.
enum class DenseFrom {
  kAverage,        ///< the mean of their weights
  kMostImportant,  ///< one of them
};
template <>
inline constexpr std::array<EnumName<DenseFrom>, 2> kEnumNames<DenseFrom>{
    {{DenseFrom::kAverage, "average"}, {DenseFrom::kMostImportant, "most_important"}}};

/// The options of a model `from` with MLPs in the place of its MoE layers. Throws InputError that
/// names `path` if it has none, or if these have a shared MLP or experts of another width.
VitOptions dense_options(const VitOptions& from, const std::string& path);

/// The weights of the model dense_options(from): the MLP of each MoE block is the mean of the
/// block's experts, or of those that `kept` names for the block, with the layer's LayerScale.
NamedTensors dense_weights(const NamedTensors& weights, const KeptExperts& kept = {});

/// Numbers of experts, int64 of any shape, after all but `kept` of `experts` experts were removed.
torch::Tensor renumber_experts(const torch::Tensor& numbers, const torch::Tensor& kept,
                               int64_t experts);

}  // namespace softmoe
