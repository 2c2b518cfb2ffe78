#include <fmt/format.h>

#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/feature_flags.h"
#include "cli/print_line.h"
#include "core/table.h"
#include "eval/knn.h"

namespace softmoe::cli {
namespace {

struct KnnFlags {
  KnnOptions knn;
  int64_t seed = 0;

  bool operator==(const KnnFlags&) const = default;
};

void describe(OptionTable& table, KnnFlags& flags) {
  describe(table, flags.knn);
  table.add("seed", flags.seed, "of the weights of --features random", {.min = 0});
}

void print_table(const KnnResult& result, const std::string& label) {
  TextTable table({"k", "Acc@1", "Acc@5"});
  for (const auto& score : result.scores) {
    table.add_row({std::to_string(score.k), fmt::format("{:.2f} %", 100 * score.top1),
                   fmt::format("{:.2f} %", 100 * score.top5)});
  }
  print_line("{}: {}, {}", result.name, label,
             sizes_text({.dim = result.dim,
                         .classes = result.classes,
                         .train = result.train_examples,
                         .test = result.test_examples}));
  print_text(table.text());
}

}  // namespace

void run_knn(const std::vector<std::string>& arguments) {
  FeatureFlags features;
  KnnFlags flags;
  DatasetOptions data;
  LoaderOptions loader;
  CommandLine line(
      "knn",
      "Classification by the nearest neighbours of frozen features, as DINO's and "
      "DINOv2's eval_knn: each image of --val-split gets the class for which its k "
      "nearest images of --train-split vote. Features are those of evaluation, without "
      "augmentation.");
  line.add("Features", features);
  line.add_operand("checkpoint", /*required=*/false);
  line.add("Neighbours", flags);
  line.add("Data", data);
  line.add("Loader", loader);
  if (!line.parse(arguments)) {
    return;
  }
  validate(flags.knn);
  check_features_given(features);
  const auto label = label_of(features);
  Json sets = Json::array();
  const auto device = line.device();
  for_each_features(features,
                    {.data = data, .loader = loader, .seed = flags.seed, .device = device},
                    [&](const SplitFeatures& pair) {
                      auto result = knn(pair.train, pair.test, flags.knn, {.device = device});
                      result.name = pair.name;
                      print_table(result, label);
                      sets.push_back(to_json(result));
                    });
  line.write_json(feature_results(label, sets));
}

}  // namespace softmoe::cli
