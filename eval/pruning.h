#pragma once
/// Smaller models made of one with MoE layers, and what accuracy they keep.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoints/checkpoint.h"
#include "checkpoints/model_checkpoint.h"
#include "checkpoints/surgery/prune_experts.h"
#include "eval/batch_loop.h"
#include "eval/metrics.h"

namespace softmoe {

/// What a model with MoE layers becomes.
enum class PruneTarget {
  kExperts,  ///< the most important experts stay
  kDense,    ///< one MLP takes the place of the experts of a layer
};
template <>
inline constexpr std::array<EnumName<PruneTarget>, 2> kEnumNames<PruneTarget>{
    {{PruneTarget::kExperts, "experts"}, {PruneTarget::kDense, "dense"}}};

struct PruneOptions {
  PruneTarget to = PruneTarget::kExperts;
  std::vector<int64_t> experts{};  ///< that stay in each layer; each number gives one model
  DenseFrom how = DenseFrom::kAverage;
  int64_t importance_images = 1024;  ///< that importance is measured on, up to a batch more
  int64_t seed = 0;                  ///< chooses these images

  bool operator==(const PruneOptions&) const = default;

  /// Returns true if images decide which experts stay.
  bool needs_importance() const {
    return to == PruneTarget::kExperts || how == DenseFrom::kMostImportant;
  }
};
void describe(OptionTable& table, PruneOptions& options);

/// Throws UsageError unless `options` say what the model becomes, without contradiction.
void validate(const PruneOptions& options);

/// The images that models are measured on, and how.
struct PruneImages {
  const Dataset* importance = nullptr;  ///< for the importance of experts, if it is needed
  const Dataset* test = nullptr;        ///< for the accuracy; nullptr: it is not measured
  std::optional<Transform>
      transform;  ///< from images to what the model takes; set if there are any
  LoaderOptions loader{};
  torch::Dtype dtype = torch::kFloat32;  ///< compute dtype
};

/// One of the smaller models.
struct PrunedModel {
  ModelDescription description;
  NamedTensors weights{};
  KeptExperts kept{};  ///< empty if the experts were averaged
  std::optional<ClassificationResult> result{};
};

/// The smaller models beside the original one.
struct Pruning {
  ModelDescription source;
  std::optional<ClassificationResult> before{};  ///< of the original model
  ExpertImportance importance{};
  std::vector<PrunedModel> models{};
};

/// Makes the models that `options` ask for of `source`, called `name` in errors, and measures them
/// all on its device. The weights of the models are kept only if `keeps_weights`. Throws UsageError
/// like validate(), InputError for a model without MoE layers and for numbers of experts that it
/// cannot have.
Pruning prune(const LoadedModel& source, const std::string& name, const PruneOptions& options,
              const PruneImages& images, bool keeps_weights = true);

/// A checkpoint of `pruned`, a model that prune() made of `source`, which was read from `name`.
Checkpoint pruned_checkpoint(const PrunedModel& pruned, const LoadedModel& source,
                             const std::string& name);

/// {"before": ..., "importance": by block, "results": one object per model}
Json to_json(const Pruning& pruning);

}  // namespace softmoe
