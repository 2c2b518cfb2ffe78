#include <fmt/format.h>

#include <optional>

#include "checkpoints/load_into.h"
#include "checkpoints/model_checkpoint.h"
#include "checkpoints/surgery/prune_experts.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/model_evaluation.h"
#include "cli/open_model.h"
#include "core/error.h"
#include "core/log.h"
#include "core/rng.h"
#include "core/table.h"
#include "eval/expert_importance.h"
#include "inference/predictor.h"
#include "vit/cost.h"

namespace softmoe::cli {

/// What a model becomes.
enum class PruneTarget { kExperts, kDense };

}  // namespace softmoe::cli

namespace softmoe {

template <>
inline constexpr std::array<EnumName<cli::PruneTarget>, 2> kEnumNames<cli::PruneTarget>{
    {{cli::PruneTarget::kExperts, "experts"}, {cli::PruneTarget::kDense, "dense"}}};

}  // namespace softmoe

namespace softmoe::cli {
namespace {

struct PruneOptions {
  std::string checkpoint;
  std::string output;
  PruneTarget to = PruneTarget::kExperts;
  std::vector<int64_t> experts;
  DenseFrom how = DenseFrom::kAverage;
  std::string importance_split;
  int64_t importance_images = 1024;
  int64_t seed = 0;
  std::string amp_dtype = "auto";

  bool operator==(const PruneOptions&) const = default;
};

void describe(OptionTable& table, PruneOptions& options) {
  describe_checkpoint(table, options.checkpoint);
  table.add("output", options.output, "where the smaller model goes; empty: it is evaluated only",
            {.unit = "file"});
  table.add("to", options.to, "fewer experts, or a dense model");
  table.add("experts", options.experts,
            "experts of each layer that stay, the most important ones; several numbers are "
            "compared",
            {.unit = "experts", .min = 1});
  table.add("how", options.how,
            "the MLP of a dense model: the mean of the experts, or one of them");
  table.add("importance-split", options.importance_split,
            "of the data set, for the importance of experts; empty: --train-split");
  table.add("importance-images", options.importance_images,
            "images that the importance of experts is measured on, up to a whole batch more",
            {.unit = "images", .min = 1});
  table.add("seed", options.seed, "chooses these images", {.min = 0});
  table.add("amp-dtype", options.amp_dtype,
            "compute dtype; auto: that of the model's training, or bfloat16 where the hardware "
            "has it",
            {.choices = {"auto", "float32", "bfloat16"}});
}

/// Whether images decide which experts stay.
bool needs_importance(const PruneOptions& options) {
  return options.to == PruneTarget::kExperts || options.how == DenseFrom::kMostImportant;
}

/// One of the smaller models.
struct PrunedModel {
  ModelDescription description;
  NamedTensors weights{};
  KeptExperts kept{};
  std::optional<ClassificationResult> result{};
};

void check_flags(const PruneOptions& options, bool has_data) {
  const bool to_dense = options.to == PruneTarget::kDense;
  if (!to_dense && options.experts.empty()) {
    throw UsageError("--experts is missing: how many experts of each layer stay");
  }
  if (to_dense && !options.experts.empty()) {
    throw UsageError("--experts: a dense model has none; not both with --to dense");
  }
  if (options.experts.size() > 1 && !options.output.empty()) {
    throw UsageError("--experts: one number goes with OUTPUT");
  }
  if (!has_data && needs_importance(options)) {
    throw UsageError("--dataset is missing: the importance of experts is measured on images");
  }
  if (!has_data && options.output.empty()) {
    throw UsageError("OUTPUT (--output) is missing, and so is a --dataset to evaluate on");
  }
}

/// What one call works with.
struct Pruning {
  PruneOptions options;
  DatasetOptions data;
  LoaderOptions loader;
  torch::Device device;
  LoadedModel source{};
  std::unique_ptr<Dataset> val{};  ///< none where the user gave no data set
  std::optional<ClassificationResult> result{};
  ExpertImportance importance{};

  BatchLoopOptions loop(const std::string& label, int64_t images) const {
    return {.device = device,
            .dtype = evaluation_dtype(options.amp_dtype, source.metadata, device),
            .label = label,
            .images = images};
  }
};

/// The models to make, without weights yet.
std::vector<PrunedModel> pruned_models(const Pruning& pruning) {
  const auto& source = pruning.source.description;
  const auto& path = pruning.options.checkpoint;
  std::vector<PrunedModel> models;
  if (pruning.options.to == PruneTarget::kDense) {
    models.push_back({.description = source});
    models.back().description.options = dense_options(source.options, path);
  }
  for (const int64_t experts : pruning.options.experts) {
    models.push_back({.description = source});
    models.back().description.options = pruned_options(source.options, experts, path);
  }
  return models;
}

ExpertImportance measure_importance(const Pruning& pruning) {
  const auto& [options, data] = std::tie(pruning.options, pruning.data);
  const auto set = make_dataset(
      data, options.importance_split.empty() ? data.train_split : options.importance_split);
  auto loader_options = pruning.loader;
  loader_options.shuffle = true;
  loader_options.seed = stream_key(static_cast<uint64_t>(options.seed), "expert importance");
  const auto& description = pruning.source.description;
  Loader loader(*set, evaluation_transform(description, options.checkpoint), loader_options);
  auto loop = pruning.loop("Importance", std::min(options.importance_images, set->size()));
  loop.stop_there = true;
  return expert_importance(pruning.source.model, loader, loop);
}

std::optional<ClassificationResult> evaluate(const Pruning& pruning, VisionTransformer model) {
  if (!pruning.val) {
    return std::nullopt;
  }
  return evaluate_model([&model](const torch::Tensor& images) { return model(images); },
                        pruning.source.description, pruning.options.checkpoint, *pruning.val,
                        pruning.loader, pruning.loop("Test", pruning.val->size()));
}

/// Makes and evaluates the weights of one smaller model.
void prune(const Pruning& pruning, PrunedModel& pruned) {
  NamedTensors weights;
  for (const auto& [name, tensor] : named_tensors(*pruning.source.model)) {
    weights[name] = tensor.to(torch::kCPU);
  }
  const auto& options = pruning.source.description.options;
  if (pruning.options.to == PruneTarget::kDense) {
    if (pruning.options.how == DenseFrom::kMostImportant) {
      pruned.kept = most_important_experts(pruning.importance, 1);
    }
    pruned.weights = dense_weights(weights, pruned.kept);
  } else {
    const auto& to = pruned.description.options;
    pruned.kept = most_important_experts(pruning.importance, to.moe.experts);
    pruned.weights = prune_experts(weights, options, to, pruned.kept);
  }
  auto model = unfilled_model(pruned.description.options, torch::kFloat32);
  load_into(*model, pruned.weights, pruning.options.checkpoint);
  model->to(pruning.device);
  model->eval();
  pruned.result = evaluate(pruning, model);
  if (pruning.options.output.empty()) {
    pruned.weights.clear();
  }
}

/// By block: numbers of experts, or what is known of each.
template <typename Value>
Json by_block(const std::map<int64_t, torch::Tensor>& tensors) {
  Json json = Json::object();
  for (const auto& [block, tensor] : tensors) {
    const auto* values = tensor.template const_data_ptr<Value>();
    json[std::to_string(block)] = std::vector<Value>(values, values + tensor.numel());
  }
  return json;
}

Json accuracy_json(const std::optional<ClassificationResult>& result) {
  return result ? Json{{"top1", result->top1}, {"top5", result->top5}, {"loss", result->loss}}
                : Json();
}

void save(const Pruning& pruning, const PrunedModel& pruned) {
  Checkpoint checkpoint;
  checkpoint.metadata = derived_metadata(pruning.source.metadata, pruned.description);
  checkpoint.metadata["pruned"] = {{"from", pruning.options.checkpoint},
                                   {"experts", by_block<int64_t>(pruned.kept)}};
  checkpoint.model = pruned.weights;
  save_checkpoint(pruning.options.output, checkpoint);
  log_line("wrote " + pruning.options.output);
}

/// The original in the first line, then what became of it.
std::string result_table(const Pruning& pruning, const std::vector<PrunedModel>& models) {
  TextTable table({"experts", "parameters", "GFLOP/img", "Acc@1", "kept", "loss"});
  const auto add = [&](const VitOptions& options,
                       const std::optional<ClassificationResult>& result) {
    const auto cost = model_cost(options);
    const double before = result ? pruning.result->top1 : 0.0;
    table.add_row({has_moe(options) ? std::to_string(options.moe.experts) : "dense",
                   format_count(cost.parameters()), fmt::format("{:.4f}", cost.gflop),
                   result ? fmt::format("{:.2f} %", 100 * result->top1) : "-",
                   before > 0 ? fmt::format("{:.1f} %", 100 * result->top1 / before) : "-",
                   result ? fmt::format("{:.4f}", result->loss) : "-"});
  };
  add(pruning.source.description.options, pruning.result);
  for (const auto& pruned : models) {
    add(pruned.description.options, pruned.result);
  }
  return table.text();
}

Json result_json(const Pruning& pruning, const std::vector<PrunedModel>& models) {
  Json document;
  document["checkpoint"] = pruning.options.checkpoint;
  document["before"] = accuracy_json(pruning.result);
  document["before"]["parameters"] = model_cost(pruning.source.description.options).parameters();
  document["importance"] = by_block<double>(pruning.importance);
  document["results"] = Json::array();
  for (const auto& pruned : models) {
    const auto& options = pruned.description.options;
    auto record = accuracy_json(pruned.result);
    record["experts"] = has_moe(options) ? options.moe.experts : 0;
    record["parameters"] = model_cost(options).parameters();
    record["kept_experts"] = by_block<int64_t>(pruned.kept);
    document["results"].push_back(record);
  }
  return document;
}

}  // namespace

void run_prune(const std::vector<std::string>& arguments) {
  Pruning pruning{.options = {}, .data = {}, .loader = {}, .device = torch::kCPU};
  auto& options = pruning.options;
  CommandLine line("prune",
                   "Make a smaller model of one with MoE layers: keep the experts that matter most "
                   "on images of --dataset, or one MLP for all of them. With a --dataset, the "
                   "accuracy before and after is shown.");
  line.add("Pruning", options);
  line.add_operand("checkpoint");
  line.add_operand("output", /*required=*/false);
  line.add("Data", pruning.data);
  line.add("Loader", pruning.loader);
  if (!line.parse(arguments)) {
    return;
  }
  const bool has_data = line.given("dataset") || line.given("data-dir");
  check_flags(options, has_data);
  pruning.device = line.device();
  pruning.source = open_model(options.checkpoint, pruning.device);
  auto models = pruned_models(pruning);
  if (has_data && pruning.source.description.options.num_classes > 0) {
    pruning.val = make_dataset(pruning.data, pruning.data.val_split);
    check_classes(pruning.val->class_names(), pruning.source.description,
                  fmt::format("{} split {}", pruning.data.dataset, pruning.data.val_split));
  }
  compute_batches(pruning.device, pruning.loader.batch_size, [&] {
    pruning.result = evaluate(pruning, pruning.source.model);
    if (needs_importance(options)) {
      pruning.importance = measure_importance(pruning);
    }
    for (auto& pruned : models) {
      prune(pruning, pruned);
    }
  });
  if (!options.output.empty()) {
    save(pruning, models.front());
  }
  line.write_json(result_json(pruning, models));
  fmt::print("{}", result_table(pruning, models));
}

}  // namespace softmoe::cli
