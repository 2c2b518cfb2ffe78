#include <fmt/format.h>

#include <cmath>

#include "checkpoints/open_model.h"
#include "cli/checkpoint_flags.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/feature_flags.h"
#include "cli/print_line.h"
#include "core/error.h"
#include "core/interrupt_guard.h"
#include "core/log.h"
#include "core/table.h"
#include "eval/head_checkpoint.h"
#include "eval/linear_probe.h"

namespace softmoe::cli {
namespace {

struct ProbeFlags {
  FeatureFlags features;
  int64_t views = 0;
  std::string output;

  bool operator==(const ProbeFlags&) const = default;
};

void describe(OptionTable& table, ProbeFlags& flags) {
  describe(table, flags.features);
  table.add("views", flags.views,
            "augmented views of each training image that the classifier learns from, besides the "
            "image as evaluation sees it: as training of the checkpoint made them, a random crop "
            "if it was not trained here, mirrored if a mirrored image of the data set keeps its "
            "label",
            {.unit = "views", .min = 0, .max = 1000});
  table.add("output", flags.output,
            "where CHECKPOINT goes with the trained head, for eval, predict and others; empty: "
            "nowhere",
            {.unit = "file"});
}

void check_flags(const ProbeFlags& flags) {
  const auto& features = flags.features;
  check_features_given(features);
  if (flags.views > 0 && features.names_files()) {
    throw UsageError("--views is of images, and --train-features are files of features");
  }
  if (flags.output.empty()) {
    return;
  }
  if (features.names_files() || features.features != FeatureSource::kCheckpoint) {
    throw UsageError(
        "OUTPUT is a model whose head is trained: give CHECKPOINT and a data set, and "
        "leave out --features, --train-features and --test-features");
  }
  cli::check_output(features.checkpoint, flags.output);
}

void print_result(const LinearProbeResult& result, const std::string& label) {
  print_line("{}: {}, {}", result.name, label,
             sizes_text({.dim = result.dim,
                         .classes = result.classes,
                         .train = result.train_examples,
                         .test = result.test.examples}));
  if (!result.candidates.empty()) {
    TextTable table({"learning rate", "held-out Acc@1", "loss"});
    for (const auto& candidate : result.candidates) {
      const bool diverged = !std::isfinite(candidate.loss);
      table.add_row({fmt::format("{:g}", candidate.learning_rate),
                     diverged ? "-" : fmt::format("{:.2f} %", 100 * candidate.top1),
                     diverged ? "diverged" : fmt::format("{:.4f}", candidate.loss)});
    }
    print_text(table.text());
  }
  print_line(" * learning rate {:g}  Acc@1 {:.3f} Acc@5 {:.3f}  loss {:.4f}", result.learning_rate,
             100 * result.test.top1, 100 * result.test.top5, result.test.loss);
}

void stop_if_interrupted() {
  if (interrupt_requested()) {
    throw Interrupted("interrupted; the probe is not trained, and nothing was written");
  }
}

void write_model(const ProbeFlags& flags, const LinearProbeResult& result,
                 const std::vector<std::string>& class_names) {
  const auto& name = flags.features.checkpoint;
  auto checkpoint = checkpoint_with_head(
      open_weights(name),
      {.weight = result.weight, .bias = result.bias, .class_names = class_names}, name);
  checkpoint.metadata["probe"] = {{"from", name}, {"learning_rate", result.learning_rate}};
  save_checkpoint(flags.output, checkpoint);
  log_line("wrote " + flags.output);
}

}  // namespace

void run_probe(const std::vector<std::string>& arguments) {
  ProbeFlags flags;
  LinearProbeOptions options;
  DatasetOptions data;
  LoaderOptions loader;
  CommandLine line(
      "probe",
      "Train a linear classifier on frozen features, as DINOv2's eval_linear: SGD with momentum "
      "0.9 and a cosine schedule, one classifier for each of --learning-rates at once. Other than "
      "DINOv2: the features of an image and of its --views are computed once, not anew in each "
      "pass; they are what the model's head gets, without the choice among blocks and averaged "
      "patches; and the learning rate is chosen on held-out images of --train-split, never on "
      "those of "
      "--val-split. With the chosen one, a classifier learns from all of --train-split and is "
      "tested on --val-split.");
  line.add("Features", flags);
  line.add_operand("checkpoint", /*required=*/false);
  line.add_operand("output", /*required=*/false);
  line.add("Probe", options);
  line.add("Data", data);
  line.add("Loader", loader);
  if (!line.parse(arguments)) {
    return;
  }
  validate(options);
  check_flags(flags);
  const auto device = line.device();
  const auto label = label_of(flags.features);
  const InterruptGuard guard;
  Json sets = Json::array();
  for_each_features(flags.features,
                    {.data = data,
                     .loader = loader,
                     .seed = options.seed,
                     .device = device,
                     .before_batch = stop_if_interrupted,
                     .views = flags.views},
                    [&](const SplitFeatures& features) {
                      const auto result =
                          linear_probe(features, options,
                                       {.device = device, .before_update = stop_if_interrupted});
                      print_result(result, label);
                      sets.push_back(to_json(result));
                      sets.back()["classes"] = features.class_names;
                      if (!flags.output.empty()) {
                        write_model(flags, result, features.class_names);
                      }
                    });
  line.write_json(feature_results(label, sets));
}

}  // namespace softmoe::cli
