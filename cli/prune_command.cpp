#include <fmt/format.h>

#include "checkpoints/open_model.h"
#include "cli/checkpoint_flags.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/print_line.h"
#include "core/error.h"
#include "core/log.h"
#include "core/table.h"
#include "core/text_format.h"
#include "eval/model_evaluation.h"
#include "eval/pruning.h"
#include "inference/predictor.h"
#include "vit/cost.h"

namespace softmoe::cli {
namespace {

struct PruneFlags {
  std::string checkpoint;
  std::string output;
  PruneOptions pruning;
  std::string importance_split;
  std::string amp_dtype = "auto";

  bool operator==(const PruneFlags&) const = default;
};

void describe(OptionTable& table, PruneFlags& flags) {
  describe_checkpoint(table, flags.checkpoint);
  table.add("output", flags.output, "where the smaller model goes; empty: it is only evaluated",
            {.unit = "file"});
  describe(table, flags.pruning);
  table.add("importance-split", flags.importance_split,
            "part of the data set for the importance of experts; empty: --train-split");
  table.add("amp-dtype", flags.amp_dtype,
            "compute dtype; auto: that of the model's training, or bfloat16 if the hardware has it",
            {.choices = {"auto", "float32", "bfloat16"}});
}

void check_flags(const PruneFlags& flags, bool has_data) {
  validate(flags.pruning);
  if (flags.pruning.experts.size() > 1 && !flags.output.empty()) {
    throw UsageError("--experts: one number goes with OUTPUT");
  }
  if (!has_data && flags.pruning.needs_importance()) {
    throw UsageError(
        "--data-dir or --dataset is missing: the importance of experts is measured on images");
  }
  if (!has_data && flags.output.empty()) {
    throw UsageError(
        "OUTPUT (--output) is missing, and so are images to evaluate on (--data-dir or --dataset)");
  }
}

/// The original model in the first row, then the smaller ones.
std::string result_table(const Pruning& pruning) {
  TextTable table({"experts", "parameters", "GFLOP/img", "Acc@1", "kept", "loss"});
  const auto add = [&](const VitOptions& options,
                       const std::optional<ClassificationResult>& result) {
    const auto cost = model_cost(options);
    const double before = result ? pruning.before->top1 : 0.0;
    table.add_row({has_moe(options) ? std::to_string(options.moe.experts) : "dense",
                   format_count(cost.parameters()), fmt::format("{:.4f}", cost.gflop),
                   result ? fmt::format("{:.2f} %", 100 * result->top1) : "-",
                   before > 0 ? fmt::format("{:.1f} %", 100 * result->top1 / before) : "-",
                   result ? fmt::format("{:.4f}", result->loss) : "-"});
  };
  add(pruning.source.options, pruning.before);
  for (const auto& model : pruning.models) {
    add(model.description.options, model.result);
  }
  return table.text();
}

}  // namespace

void run_prune(const std::vector<std::string>& arguments) {
  PruneFlags flags;
  DatasetOptions data;
  LoaderOptions loader;
  CommandLine line(
      "prune",
      "Make a smaller model of one with MoE layers: keep the experts that matter most, "
      "or one MLP for all of them (--to dense). Which experts matter is measured on "
      "the images of --data-dir or --dataset, and the accuracy before and after on those "
      "of its --val-split; only --to dense with --how average and an OUTPUT needs none.");
  line.add("Pruning", flags);
  line.add_operand("checkpoint");
  line.add_operand("output", /*required=*/false);
  line.add("Data", data);
  line.add("Loader", loader);
  if (!line.parse(arguments)) {
    return;
  }
  const bool has_data = line.given("dataset") || line.given("data-dir");
  check_flags(flags, has_data);
  check_output(flags.checkpoint, flags.output);
  const auto device = line.device();
  const auto source = open_model(flags.checkpoint, device);
  std::unique_ptr<Dataset> importance;
  std::unique_ptr<Dataset> test;
  if (flags.pruning.needs_importance()) {
    importance = make_dataset(
        data, flags.importance_split.empty() ? data.train_split : flags.importance_split);
  }
  if (has_data && source.description.options.num_classes > 0) {
    test = make_dataset(data, data.val_split);
    check_classes(test->class_names(), source.description,
                  fmt::format("{} split {}", data.dataset, data.val_split));
  }
  PruneImages images{.importance = importance.get(),
                     .test = test.get(),
                     .transform = {},
                     .loader = loader,
                     .dtype = evaluation_dtype(flags.amp_dtype, source.metadata, device)};
  if (importance || test) {
    images.transform = evaluation_transform(source.description, flags.checkpoint);
  }
  Pruning pruning;
  compute_batches(device, loader.batch_size, [&] {
    pruning = prune(source, flags.checkpoint, flags.pruning, images,
                    /*keeps_weights=*/!flags.output.empty());
  });
  if (!flags.output.empty()) {
    save_checkpoint(flags.output,
                    pruned_checkpoint(pruning.models.front(), source, flags.checkpoint));
    log_line("wrote " + flags.output);
  }
  Json document{{"checkpoint", flags.checkpoint}};
  document.update(to_json(pruning));
  line.write_json(document);
  print_text(result_table(pruning));
}

}  // namespace softmoe::cli
