#include <fmt/format.h>

#include "checkpoints/open_model.h"
#include "cli/checkpoint_flags.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/print_line.h"
#include "core/error.h"
#include "core/pluralize.h"
#include "core/table.h"
#include "eval/features.h"
#include "eval/few_shot_protocol.h"
#include "eval/lambda_selection.h"
#include "inference/inference_model.h"
#include "inference/predictor.h"
#include "io/atomic_file.h"

namespace softmoe::cli {
namespace {

/// Where the features come from.
enum class FeatureSource { kCheckpoint, kRandom, kPixels };

}  // namespace
}  // namespace softmoe::cli

namespace softmoe {

template <>
inline constexpr std::array<EnumName<cli::FeatureSource>, 3> kEnumNames<cli::FeatureSource>{
    {{cli::FeatureSource::kCheckpoint, "checkpoint"},
     {cli::FeatureSource::kRandom, "random"},
     {cli::FeatureSource::kPixels, "pixels"}}};

}  // namespace softmoe

namespace softmoe::cli {
namespace {

struct FewShotFlags {
  std::vector<std::string> train_features;
  std::vector<std::string> test_features;
  std::string checkpoint;
  FeatureSource features = FeatureSource::kCheckpoint;
  std::string save_features;
  std::string label;
  std::string amp_dtype = "auto";
  int64_t pool = 0;

  bool operator==(const FewShotFlags&) const = default;
};

void describe(OptionTable& table, FewShotFlags& flags) {
  table.add("train-features", flags.train_features,
            "features from anywhere: an .npz with arrays `features` and `labels`; several for "
            "several data sets",
            {.unit = "file"});
  table.add("test-features", flags.test_features,
            "features of the test sets, in the order of the training sets", {.unit = "file"});
  describe_checkpoint(table, flags.checkpoint);
  table.add("features", flags.features,
            "features of the checkpoint, of a model of its shape with random weights, or the "
            "pixels that it would see");
  table.add("save-features", flags.save_features,
            "write the features of all images to this path + -train.npz and -test.npz; else "
            "features of training images that no probe needs are not computed",
            {.unit = "path"});
  describe_label(table, flags.label);
  describe_inference_dtype(table, flags.amp_dtype, "bfloat16 if the hardware has it");
  table.add("pool", flags.pool,
            "training images of each class, at random, from which the shots are drawn; 0: all",
            {.unit = "images", .min = 0});
}

Forward feature_function(const FewShotFlags& flags, LoadedWeights loaded, int64_t seed,
                         const torch::Device& device) {
  if (flags.features == FeatureSource::kPixels) {
    return pixel_features;
  }
  const auto& sizes = loaded.description.options;
  const auto dtype = inference_precision(flags.amp_dtype, device);
  const auto model = with_dtype_flag([&] {
    return flags.features == FeatureSource::kRandom
               ? std::make_shared<InferenceModel>(make_model(sizes, seed, device), dtype)
               : std::make_shared<InferenceModel>(sizes, std::move(loaded.weights),
                                                  flags.checkpoint, dtype, device);
  });
  return [model](const torch::Tensor& images) {
    return model->forward_features(images);  // [batch, dim]
  };
}

FewShotResult probe_images(const FewShotFlags& flags, const DatasetOptions& data,
                           const FewShotProtocol& protocol, const torch::Device& device) {
  auto loaded = open_weights(flags.checkpoint, device);
  const auto transform = evaluation_transform(loaded.description, flags.checkpoint);
  const FeatureExtractor extractor{
      .forward = feature_function(flags, std::move(loaded), protocol.probes.seed, device),
      .transform = transform,
      .device = device};
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
  if (!flags.save_features.empty()) {
    write_features(flags.save_features + "-train.npz", features.train);
    write_features(flags.save_features + "-test.npz", features.test);
  }
  return few_shot(features, protocol.probes);
}

std::string label_of(const FewShotFlags& flags) {
  if (!flags.label.empty()) {
    return flags.label;
  }
  if (!flags.train_features.empty()) {
    return "given features";
  }
  return flags.features == FeatureSource::kCheckpoint ? checkpoint_label(flags.checkpoint)
                                                      : enum_name(flags.features);
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
                   "examples per class, as big_vision's fewshot_lsr.");
  line.add("Features", flags);
  line.add_operand("checkpoint", /*required=*/false);
  line.add("Probe", protocol.probes);
  line.add("Data", data);
  line.add("Loader", protocol.loader);
  if (!line.parse(arguments)) {
    return;
  }
  if (!flags.save_features.empty()) {
    check_can_write(flags.save_features + "-train.npz");
  }
  protocol.pool = flags.pool;
  protocol.all_features = !flags.save_features.empty();
  std::vector<FewShotResult> results;
  if (!flags.train_features.empty() || !flags.test_features.empty()) {
    results = few_shot_files(flags.train_features, flags.test_features, protocol.probes);
  } else if (!flags.checkpoint.empty()) {
    results = {probe_images(flags, data, protocol, line.device())};
    if (protocol.probes.test_selected_lambda) {
      results = select_lambdas_on_test(results);
    }
  } else {
    throw UsageError(
        "give CHECKPOINT (--checkpoint) and a data set, or --train-features and --test-features");
  }
  const auto label = label_of(flags);
  Json sets = Json::array();
  for (const auto& result : results) {
    print_table(result, label);
    sets.push_back(to_json(result));
  }
  Json document;
  document["label"] = label;
  if (sets.size() == 1) {
    document.update(sets.front());
  } else {
    document["sets"] = sets;
  }
  line.write_json(document);
}

}  // namespace softmoe::cli
