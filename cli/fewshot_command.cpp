#include <fmt/format.h>

#include "cli/checkpoint_flags.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/feature_flags.h"
#include "cli/print_line.h"
#include "core/pluralize.h"
#include "core/table.h"
#include "eval/few_shot_protocol.h"
#include "eval/lambda_selection.h"

namespace softmoe::cli {
namespace {

struct FewShotFlags {
  FeatureFlags features;
  int64_t pool = 0;

  bool operator==(const FewShotFlags&) const = default;
};

void describe(OptionTable& table, FewShotFlags& flags) {
  describe(table, flags.features);
  table.add("pool", flags.pool,
            "training images of each class, at random, from which the shots are drawn; 0: all",
            {.unit = "images", .min = 0});
}

FewShotResult probe_images(const FeatureFlags& flags, const DatasetOptions& data,
                           const FewShotProtocol& protocol, const torch::Device& device) {
  const auto extractor = feature_extractor(flags, protocol.probes.seed, device);
  const auto train = make_dataset(data, data.train_split);
  const auto test = make_dataset(data, data.val_split);
  FewShotFeatures features;
  compute_batches(device, protocol.loader.batch_size, [&] {
    features = few_shot_features({.name = data.dataset,
                                  .train = *train,
                                  .test = *test,
                                  .train_split = data.train_split,
                                  .test_split = data.val_split},
                                 extractor, protocol);
  });
  save_features(flags, features.train, features.test);
  return few_shot(features, protocol.probes);
}

void print_table(const FewShotResult& result, const std::string& label) {
  TextTable table({"shots", "lambda", "accuracy", "spread"});
  for (const auto& score : result.scores) {
    table.add_row({std::to_string(score.shots), fmt::format("{:g}", score.lambda),
                   fmt::format("{:.2f} %", 100 * score.mean()),
                   fmt::format("{:.2f}", 100 * score.std())});
  }
  print_line("{}: {}, {}, {}, {}{}", result.name, label, pluralize(result.dim, "feature"),
             pluralize(result.classes, "class", "classes"),
             pluralize(result.test_examples, "test image"),
             result.lambda_selected_on_test ? ", lambda selected on test accuracy" : "");
  print_text(table.text());
}

}  // namespace

void run_fewshot(const std::vector<std::string>& arguments) {
  FewShotFlags flags;
  FewShotProtocol protocol;
  DatasetOptions data;
  CommandLine line("fewshot",
                   "Few-shot evaluation of frozen features: ridge probes in closed form on k "
                   "examples per class, as big_vision's fewshot_lsr. Features of training images "
                   "that no probe needs are computed for --save-features only.");
  line.add("Features", flags);
  line.add_operand("checkpoint", /*required=*/false);
  line.add("Probe", protocol.probes);
  line.add("Data", data);
  line.add("Loader", protocol.loader);
  if (!line.parse(arguments)) {
    return;
  }
  const auto& source = flags.features;
  check_features_given(source);
  protocol.pool = flags.pool;
  protocol.all_features = !source.save_features.empty();
  std::vector<FewShotResult> results;
  if (source.names_files()) {
    results = few_shot_files(source.train_features, source.test_features, protocol.probes);
  } else {
    results = {probe_images(source, data, protocol, line.device())};
    if (protocol.probes.test_selected_lambda) {
      results = select_lambdas_on_test(results);
    }
  }
  const auto label = label_of(source);
  Json sets = Json::array();
  for (const auto& result : results) {
    print_table(result, label);
    sets.push_back(to_json(result));
  }
  line.write_json(feature_results(label, sets));
}

}  // namespace softmoe::cli
