#include <fmt/format.h>

#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/open_model.h"
#include "core/counted.h"
#include "core/error.h"
#include "core/log.h"
#include "core/rng.h"
#include "core/table.h"
#include "datasets/loader.h"
#include "eval/features.h"
#include "eval/fewshot.h"
#include "inference/packed/packed_model.h"
#include "inference/predictor.h"

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
  std::vector<std::string> train_features;
  std::vector<std::string> test_features;
  std::string checkpoint;
  FeatureSource features = FeatureSource::kCheckpoint;
  std::string save_features;
  std::string label;
  std::string amp_dtype = "auto";
  int64_t pool = 0;

  bool operator==(const ProbeOptions&) const = default;
};

void describe(OptionTable& table, ProbeOptions& options) {
  table.add("train-features", options.train_features,
            "features from anywhere: an .npz with arrays `features` and `labels`; several for "
            "several data sets",
            {.unit = "file"});
  table.add("test-features", options.test_features,
            "the same for the test sets, in the order of the training sets", {.unit = "file"});
  table.add("checkpoint", options.checkpoint,
            "the model whose frozen features are probed: as training saved it, or whatever softmoe "
            "convert reads",
            {.unit = "file"});
  table.add("features", options.features,
            "features of the checkpoint, of a model of its shape with random weights, or the "
            "pixels that it would see");
  table.add("save-features", options.save_features,
            "write the features of all images to this path + -train.npz and -test.npz; without it "
            "those of training images that no probe needs are not computed",
            {.unit = "path"});
  describe_label(table, options.label);
  describe_inference_dtype(table, options.amp_dtype, "bfloat16 where the hardware has it");
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

FeatureSet extract(const Dataset& set, const std::string& name, const Transform& transform,
                   const LoaderOptions& loader_options, const Forward& forward,
                   BatchLoopOptions options) {
  Loader loader(set, transform, loader_options);
  options.label = "Features of " + name;
  options.images = set.size();
  return extract_features(forward, loader, name, options);
}

Forward feature_function(const ProbeOptions& options, LoadedWeights loaded, int64_t seed,
                         const torch::Device& device) {
  if (options.features == FeatureSource::kPixels) {
    return pixel_features;
  }
  const auto& sizes = loaded.description.options;
  const auto dtype = inference_dtype(options.amp_dtype, device);
  const auto model = with_dtype_flag([&] {
    return options.features == FeatureSource::kRandom
               ? std::make_shared<PackedModel>(make_model(sizes, seed, device), dtype)
               : std::make_shared<PackedModel>(sizes, std::move(loaded.weights), options.checkpoint,
                                               dtype, device);
  });
  return [model](const torch::Tensor& images) {
    return model->forward_features(images);  // [batch, dim]
  };
}

torch::Tensor labels_of(const Dataset& set) {
  std::vector<int64_t> labels;
  for (int64_t index = 0; index < set.size(); ++index) {
    labels.push_back(set.label(index));
  }
  return torch::tensor(labels, torch::kInt64);  // [images]
}

/// Features of training images, and which of these the probes learn from.
struct TrainingShots {
  FeatureSet features;
  FewShotDraws draws;
};

/// `features_of` gives the features of some images of `pool`. Without `all`, they are computed only
/// of the images that are drawn.
TrainingShots training_shots(const Dataset& pool, const FewShotOptions& fewshot, bool all,
                             const std::function<FeatureSet(const Dataset&)>& features_of) {
  if (!all) {
    const auto draws = draw_examples(labels_of(pool), fewshot);
    const auto needed = draws.needed();  // [needed]
    const auto* first = needed.const_data_ptr<int64_t>();
    const Subset drawn(pool, {first, first + needed.size(0)});
    const auto features = features_of(drawn);
    if (features.labels.size(0) == needed.size(0)) {
      return {.features = features, .draws = draws.among_needed()};
    }
    log_line("images that were drawn cannot be read: drawing among those that can");
  }
  const auto features = features_of(pool);
  return {.features = features, .draws = draw_examples(features.labels, fewshot)};
}

FewShotResult probe_images(const ProbeOptions& options, const DatasetOptions& data,
                           const LoaderOptions& loader, const FewShotOptions& fewshot,
                           const torch::Device& device) {
  auto loaded = open_weights(options.checkpoint, device);
  const auto transform = evaluation_transform(loaded.description, options.checkpoint);
  const auto forward = feature_function(options, std::move(loaded), fewshot.seed, device);
  const BatchLoopOptions loop{.device = device};
  const auto train_set = make_dataset(data, data.train_split);
  const auto test_set = make_dataset(data, data.val_split);
  const Subset pool(*train_set, pool_indices(*train_set, options.pool, fewshot.seed));
  const bool saves = !options.save_features.empty();
  TrainingShots train;
  FeatureSet test;
  compute_batches(device, loader.batch_size, [&] {
    train = training_shots(pool, fewshot, saves, [&](const Dataset& set) {
      return extract(set, data.dataset + " " + data.train_split, transform, loader, forward, loop);
    });
    test =
        extract(*test_set, data.dataset + " " + data.val_split, transform, loader, forward, loop);
  });
  if (saves) {
    write_features(options.save_features + "-train.npz", train.features);
    write_features(options.save_features + "-test.npz", test);
  }
  auto result = few_shot(train.features, test, fewshot, train.draws);
  result.name = data.dataset;
  return result;
}

std::vector<FewShotResult> probe_files(const ProbeOptions& options, const FewShotOptions& fewshot) {
  if (options.train_features.size() != options.test_features.size()) {
    throw UsageError("--test-features",
                     counted(std::ssize(options.train_features), "file") + " as --train-features",
                     std::to_string(options.test_features.size()));
  }
  std::vector<FewShotResult> results;
  for (size_t i = 0; i < options.train_features.size(); ++i) {
    results.push_back(few_shot(read_features(options.train_features[i]),
                               read_features(options.test_features[i]), fewshot));
  }
  return results;
}

std::string label_of(const ProbeOptions& options) {
  if (!options.label.empty()) {
    return options.label;
  }
  if (!options.train_features.empty()) {
    return "given features";
  }
  return options.features == FeatureSource::kCheckpoint ? checkpoint_label(options.checkpoint)
                                                        : enum_name(options.features);
}

void print_table(const FewShotResult& result, const std::string& label) {
  TextTable table({"shots", "lambda", "accuracy", "spread"});
  for (const auto& score : result.scores) {
    table.add_row({std::to_string(score.shots), fmt::format("{:g}", score.lambda),
                   fmt::format("{:.2f} %", 100 * score.mean()),
                   fmt::format("{:.2f}", 100 * score.std())});
  }
  fmt::print(
      "{}: {}, {}, {}, {}{}\n{}", result.name, label, counted(result.dim, "feature"),
      counted(result.classes, "class", "classes"), counted(result.test_examples, "test image"),
      result.lambda_selected_on_test ? ", lambda selected on test accuracy" : "", table.text());
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
  line.add_operand("checkpoint", /*required=*/false);
  line.add("Probe", fewshot);
  line.add("Data", data);
  line.add("Loader", loader);
  if (!line.parse(arguments)) {
    return;
  }
  std::vector<FewShotResult> results;
  if (!options.train_features.empty() || !options.test_features.empty()) {
    results = probe_files(options, fewshot);
  } else if (!options.checkpoint.empty()) {
    results = {probe_images(options, data, loader, fewshot, line.device())};
  } else {
    throw UsageError("give CHECKPOINT and a data set, or --train-features and --test-features");
  }
  const auto label = label_of(options);
  if (fewshot.test_selected_lambda) {
    results = select_lambdas_on_test(results);
  }
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
