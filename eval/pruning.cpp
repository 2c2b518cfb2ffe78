#include "eval/pruning.h"

#include "checkpoints/load_into.h"
#include "core/error.h"
#include "core/rng.h"
#include "eval/expert_importance.h"
#include "eval/model_evaluation.h"
#include "vit/cost.h"

namespace softmoe {
namespace {

/// One call of prune().
class Pruner {
 public:
  Pruner(const LoadedModel& source, const std::string& name, const PruneOptions& options,
         const PruneImages& images)
      : source_(source),
        name_(name),
        options_(options),
        images_(images),
        device_(source.model->parameters().front().device()) {}

  /// The models to make, without weights.
  std::vector<PrunedModel> planned_models() const {
    const auto& from = source_.description;
    std::vector<PrunedModel> models;
    if (options_.to == PruneTarget::kDense) {
      models.push_back({.description = from});
      models.back().description.options = dense_options(from.options, name_);
    }
    for (const int64_t experts : options_.experts) {
      models.push_back({.description = from});
      models.back().description.options = pruned_options(from.options, experts, name_);
    }
    return models;
  }

  std::optional<ClassificationResult> evaluate(VisionTransformer model) const {
    if (images_.test == nullptr) {
      return std::nullopt;
    }
    TORCH_CHECK_VALUE(images_.transform, "prune: expected a transform for the test images");
    return evaluate_model([&model](const torch::Tensor& images) { return model(images); },
                          source_.description, *images_.transform, *images_.test, images_.loader,
                          loop("Test", images_.test->size()));
  }

  ExpertImportance measure_importance() const {
    TORCH_CHECK_VALUE(images_.importance != nullptr && images_.transform,
                      "prune: expected images for the importance of experts");
    auto loader_options = images_.loader;
    loader_options.shuffle = true;
    loader_options.seed = stream_key(static_cast<uint64_t>(options_.seed), "expert importance");
    Loader loader(*images_.importance, *images_.transform, loader_options);
    auto loop_options =
        loop("Importance", std::min(options_.importance_images, images_.importance->size()));
    loop_options.stop_there = true;
    return expert_importance(source_.model, loader, loop_options);
  }

  /// Makes the weights of one smaller model and evaluates it.
  void fill(PrunedModel& pruned, const ExpertImportance& importance) const {
    NamedTensors weights;
    for (const auto& [name, tensor] : named_tensors(*source_.model)) {
      weights[name] = tensor.to(torch::kCPU);
    }
    const auto& to = pruned.description.options;
    if (options_.to == PruneTarget::kDense) {
      if (options_.how == DenseFrom::kMostImportant) {
        pruned.kept = most_important_experts(importance, 1);
      }
      pruned.weights = dense_weights(weights, pruned.kept);
    } else {
      pruned.kept = most_important_experts(importance, to.moe.experts);
      pruned.weights = prune_experts(weights, source_.description.options, to, pruned.kept);
    }
    auto model = unfilled_model(to, torch::kFloat32);
    load_into(*model, pruned.weights, name_);
    model->to(device_);
    model->eval();
    pruned.result = evaluate(model);
  }

 private:
  BatchLoopOptions loop(const std::string& label, int64_t images) const {
    return {.device = device_, .dtype = images_.dtype, .label = label, .images = images};
  }

  const LoadedModel& source_;
  const std::string& name_;
  const PruneOptions& options_;
  const PruneImages& images_;
  torch::Device device_;
};

/// An object by block of the values of each tensor.
template <typename Value>
Json by_block(const std::map<int64_t, torch::Tensor>& tensors) {
  Json json = Json::object();
  for (const auto& [block, tensor] : tensors) {
    const auto* values = tensor.template const_data_ptr<Value>();
    json[std::to_string(block)] = std::vector<Value>(values, values + tensor.numel());
  }
  return json;
}

}  // namespace

void describe(OptionTable& table, PruneOptions& options) {
  table.add("to", options.to, "fewer experts, or a dense model");
  table.add("experts", options.experts,
            "experts of each layer that stay, the most important ones; several numbers are "
            "compared",
            {.unit = "experts", .min = 1});
  table.add("how", options.how,
            "the MLP of a dense model: the mean of the experts, or one of them");
  table.add("importance-images", options.importance_images,
            "images that the importance of experts is measured on, up to a whole batch more",
            {.unit = "images", .min = 1});
  table.add("seed", options.seed, "chooses these images", {.min = 0});
}

void validate(const PruneOptions& options) {
  const bool to_dense = options.to == PruneTarget::kDense;
  if (!to_dense && options.experts.empty()) {
    throw UsageError("--experts is missing: how many experts of each layer stay");
  }
  if (to_dense && !options.experts.empty()) {
    throw UsageError("--experts: a dense model has none; not both with --to dense");
  }
}

Pruning prune(const LoadedModel& source, const std::string& name, const PruneOptions& options,
              const PruneImages& images, bool keeps_weights) {
  validate(options);
  const Pruner pruner(source, name, options, images);
  Pruning pruning{.source = source.description};
  pruning.models = pruner.planned_models();
  pruning.before = pruner.evaluate(source.model);
  if (options.needs_importance()) {
    pruning.importance = pruner.measure_importance();
  }
  for (auto& model : pruning.models) {
    pruner.fill(model, pruning.importance);
    if (!keeps_weights) {
      model.weights.clear();
    }
  }
  return pruning;
}

Checkpoint pruned_checkpoint(const PrunedModel& pruned, const LoadedModel& source,
                             const std::string& name) {
  Checkpoint checkpoint;
  checkpoint.metadata = derived_metadata(source.metadata, pruned.description);
  checkpoint.metadata["pruned"] = {{"from", name}, {"experts", by_block<int64_t>(pruned.kept)}};
  checkpoint.model = pruned.weights;
  return checkpoint;
}

Json to_json(const Pruning& pruning) {
  Json json;
  json["before"] = accuracy_json(pruning.before);
  json["before"]["parameters"] = model_cost(pruning.source.options).parameters();
  json["importance"] = by_block<double>(pruning.importance);
  json["results"] = Json::array();
  for (const auto& model : pruning.models) {
    const auto& options = model.description.options;
    auto record = accuracy_json(model.result);
    record["experts"] = has_moe(options) ? options.moe.experts : 0;
    record["parameters"] = model_cost(options).parameters();
    record["kept_experts"] = by_block<int64_t>(model.kept);
    json["results"].push_back(record);
  }
  return json;
}

}  // namespace softmoe
