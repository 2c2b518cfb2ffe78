#pragma once
/// Models with fewer experts, or none, from trained ones.

#include <cstdint>
#include <map>
#include <string>

#include "core/options.h"
#include "core/named_tensors.h"
#include "vit/options.h"

namespace softmoe {

/// By MoE block, [experts]: how important each expert is.
using ExpertImportance = std::map<int64_t, torch::Tensor>;

/// By MoE block, [count] int64: the experts that stay, in rising order.
using KeptExperts = std::map<int64_t, torch::Tensor>;

/// The `count` most important experts of each block; of equals those with lower numbers.
KeptExperts most_important_experts(const ExpertImportance& importance, int64_t count);

/// The options of a model `from` with `experts` experts a layer: soft layers keep the slots of each
/// expert as they were trained, so that they lose those of the others, and a token is sent to at
/// most as many experts as there are. Throws InputError that names `path` where `from` has no MoE
/// layers or not more experts, or where its router cannot have that many.
VitOptions pruned_options(const VitOptions& from, int64_t experts, const std::string& path);

/// The weights of the model pruned_options(from, ...) from those of `from`: of every tensor of
/// experts and routers the part that belongs to the experts `kept`. Where a router maps something
/// to experts by number (hash routing), what belonged to the others is dealt out in turn.
NamedTensors prune_experts(const NamedTensors& weights, const VitOptions& from,
                           const VitOptions& pruned, const KeptExperts& kept);

/// Which MLP takes the place of a layer's experts.
enum class DenseFrom {
  kAverage,        ///< the mean of their weights
  kMostImportant,  ///< one of them
};
template <>
inline constexpr std::array<EnumName<DenseFrom>, 2> kEnumNames<DenseFrom>{
    {{DenseFrom::kAverage, "average"}, {DenseFrom::kMostImportant, "most_important"}}};

/// The options of a model `from` with MLPs in the place of its MoE layers. Throws InputError that
/// names `path` where it has none.
VitOptions dense_options(const VitOptions& from, const std::string& path);

/// The weights of the model dense_options(from): the MLP of each MoE block is the mean of the
/// block's experts, or the one expert that `kept` names where the block is in there.
NamedTensors dense_weights(const NamedTensors& weights, const KeptExperts& kept = {});

/// Numbers of experts, int64 of any shape, after all but `kept` of `experts` experts are gone.
torch::Tensor renumber_experts(const torch::Tensor& numbers, const torch::Tensor& kept,
                               int64_t experts);

}  // namespace softmoe
