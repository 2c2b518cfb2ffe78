#include <fmt/format.h>

#include "checkpoints/model_checkpoint.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "core/device.h"
#include "core/error.h"
#include "core/progress.h"
#include "core/rng.h"
#include "datasets/loader.h"
#include "eval/fewshot.h"
#include "eval/table.h"
#include "train/trainer.h"

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

struct ProbeOptions {
  std::string train_features;
  std::string test_features;
  std::string checkpoint;
  FeatureSource features = FeatureSource::kCheckpoint;
  std::string label;
  std::string amp_dtype = "auto";
  int64_t pool = 0;

  bool operator==(const ProbeOptions&) const = default;
};

void describe(OptionTable& table, ProbeOptions& options) {
  table.add("train-features", options.train_features,
            "features from anywhere: an .npz with arrays `features` and `labels`",
            {.unit = "file"});
  table.add("test-features", options.test_features, "the same for the test set", {.unit = "file"});
  table.add("checkpoint", options.checkpoint, "the model whose frozen features are probed",
            {.unit = "file"});
  table.add("features", options.features,
            "features of the checkpoint, of a model of its shape with random weights, or the "
            "pixels that it would see");
  table.add("label", options.label, "what tables and plots call these features");
  table.add("amp-dtype", options.amp_dtype,
            "compute dtype; auto: bfloat16 where the hardware has it",
            {.choices = {"auto", "float32", "bfloat16"}});
  table.add("pool", options.pool,
            "training images of each class, at random, from which the shots are drawn; 0: all",
            {.unit = "images", .min = 0});
}

/// A set restricted to some of its images, in a given order.
class Subset : public Dataset {
 public:
  Subset(const Dataset& set, std::vector<int64_t> indices)
      : set_(set), indices_(std::move(indices)) {}

  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  Sample get(int64_t index) const override { return set_.get(at(index)); }
  int64_t label(int64_t index) const override { return set_.label(at(index)); }
  const std::vector<std::string>& class_names() const override { return set_.class_names(); }
  std::string sample_name(int64_t index) const override { return set_.sample_name(at(index)); }

 private:
  int64_t at(int64_t index) const { return indices_.at(static_cast<size_t>(index)); }

  const Dataset& set_;
  std::vector<int64_t> indices_;
};

/// At most `pool` images of each class of `set`, chosen at random by `seed`; all for 0.
std::vector<int64_t> pool_indices(const Dataset& set, int64_t pool, int64_t seed) {
  Rng rng(stream_key(static_cast<uint64_t>(seed), "few-shot pool"));
  std::vector<int64_t> taken(set.class_names().size(), 0);
  std::vector<int64_t> indices;
  for (const int64_t index : random_permutation(set.size(), rng)) {
    const auto label = static_cast<size_t>(set.label(index));
    if (pool == 0 || taken[label] < pool) {
      ++taken[label];
      indices.push_back(index);
    }
  }
  std::sort(indices.begin(), indices.end());
  return indices;
}

/// Maps a batch of images to features [batch, dim].
using FeatureFunction = std::function<torch::Tensor(const torch::Tensor& images)>;

FeatureSet extract(const Dataset& set, const std::string& name, const Transform& transform,
                   const LoaderOptions& options, const FeatureFunction& features) {
  const torch::InferenceMode inference;
  Loader loader(set, transform, options);
  loader.start(/*epoch=*/0);
  Progress progress("Features of " + name, set.size(), "images");
  std::vector<torch::Tensor> rows;
  std::vector<torch::Tensor> labels;
  int64_t done = 0;
  while (const auto batch = loader.next()) {
    rows.push_back(features(batch->images).to(torch::kCPU, torch::kFloat32));  // [batch, dim]
    labels.push_back(batch->labels);
    done += batch->labels.size(0);
    progress.update(done);
  }
  FeatureSet result{.name = name, .features = torch::cat(rows), .labels = torch::cat(labels)};
  check_features(result);
  return result;
}

FeatureFunction feature_function(const ProbeOptions& options, LoadedModel& loaded, int64_t seed,
                                 const torch::Device& device) {
  if (options.features == FeatureSource::kPixels) {
    return [](const torch::Tensor& images) { return images.flatten(1); };
  }
  auto model = loaded.model;
  if (options.features == FeatureSource::kRandom) {
    model = make_model(loaded.description.options, seed, device);
    model->eval();
  }
  const auto dtype = compute_dtype(options.amp_dtype, device);
  return [model, dtype, device](const torch::Tensor& images) mutable {
    const AutocastGuard autocast(device, dtype);
    return model->forward_features(images.to(device));
  };
}

FewShotResult probe_images(const ProbeOptions& options, const DatasetOptions& data,
                           const LoaderOptions& loader, const FewShotOptions& fewshot,
                           const torch::Device& device) {
  auto loaded = load_model(options.checkpoint, device);
  const auto preprocess =
      options_from_json<PreprocessOptions>(loaded.description.preprocess, options.checkpoint);
  const auto transform = Transform::evaluation(preprocess);
  const auto features = feature_function(options, loaded, fewshot.seed, device);
  const auto train_set = make_dataset(data, data.train_split);
  const auto test_set = make_dataset(data, data.val_split);
  const Subset pool(*train_set, pool_indices(*train_set, options.pool, fewshot.seed));
  const auto train =
      extract(pool, data.dataset + " " + data.train_split, transform, loader, features);
  const auto test =
      extract(*test_set, data.dataset + " " + data.val_split, transform, loader, features);
  auto result = few_shot(train, test, fewshot);
  result.name = data.dataset;
  return result;
}

void print_table(const FewShotResult& result, const std::string& label) {
  TextTable table({"shots", "lambda", "accuracy", "spread"});
  for (const auto& score : result.scores) {
    table.add_row({std::to_string(score.shots), fmt::format("{:g}", score.lambda),
                   fmt::format("{:.2f} %", 100 * score.mean()),
                   fmt::format("{:.2f}", 100 * score.std())});
  }
  fmt::print("{}: {}, {} features, {} classes, {} test images{}\n{}", result.name, label,
             result.dim, result.classes, result.test_examples,
             result.lambda_selected_on_test ? ", lambda selected on test accuracy" : "",
             table.text());
}

}  // namespace

void run_fewshot(const std::vector<std::string>& arguments) {
  ProbeOptions options;
  FewShotOptions fewshot;
  DatasetOptions data;
  LoaderOptions loader;
  CommandLine line("fewshot",
                   "Few-shot evaluation of frozen features: ridge probes in closed form on k "
                   "examples a class, as big_vision's fewshot_lsr.");
  line.add("Features", options);
  line.add("Probe", fewshot);
  line.add("Data", data);
  line.add("Loader", loader);
  if (!line.parse(arguments)) {
    return;
  }
  FewShotResult result;
  if (!options.train_features.empty() && !options.test_features.empty()) {
    result = few_shot(read_features(options.train_features), read_features(options.test_features),
                      fewshot);
    result.name = options.test_features;
  } else if (!options.checkpoint.empty()) {
    result = probe_images(options, data, loader, fewshot, parse_device(line.common().device));
  } else {
    throw UsageError("give --checkpoint and a data set, or --train-features and --test-features");
  }
  if (fewshot.test_selected_lambda) {
    result = select_lambdas_on_test({result}).front();
  }
  const auto label = options.label.empty() ? enum_name(options.features) : options.label;
  print_table(result, label);
  auto document = to_json(result);
  document["label"] = label;
  line.write_json(document);
}

}  // namespace softmoe::cli
