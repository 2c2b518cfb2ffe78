#include "cli/feature_flags.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "checkpoints/open_model.h"
#include "cli/checkpoint_flags.h"
#include "core/error.h"
#include "core/pluralize.h"
#include "eval/features.h"
#include "inference/predictor.h"
#include "io/atomic_file.h"

namespace softmoe::cli {
namespace {

Forward feature_function(const FeatureFlags& flags, LoadedWeights loaded, int64_t seed,
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

}  // namespace

void describe(OptionTable& table, FeatureFlags& flags) {
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
            "write the features of all images to this path + -train.npz and -test.npz",
            {.unit = "path"});
  describe_label(table, flags.label);
  describe_inference_dtype(table, flags.amp_dtype, "bfloat16 if the hardware has it");
}

void check_features_given(const FeatureFlags& flags) {
  if (!flags.names_files() && flags.checkpoint.empty()) {
    throw UsageError(
        "give CHECKPOINT (--checkpoint) and a data set, or --train-features and --test-features");
  }
  if (!flags.save_features.empty()) {
    check_can_write(flags.save_features + "-train.npz");
  }
}

FeatureExtractor feature_extractor(const FeatureFlags& flags, int64_t seed,
                                   const torch::Device& device, const FeatureViews& views) {
  auto loaded = open_weights(flags.checkpoint, device);
  FeatureExtractor extractor{
      .forward = {},
      .transform = evaluation_transform(loaded.description, flags.checkpoint),
      .views = views.count,
      .device = device};
  if (views.count > 0) {
    extractor.augment = training_transform(loaded.description, flags.checkpoint, views.hflip);
  }
  extractor.forward = feature_function(flags, std::move(loaded), seed, device);
  return extractor;
}

void save_features(const FeatureFlags& flags, const FeatureSet& train, const FeatureSet& test) {
  if (!flags.save_features.empty()) {
    write_features(flags.save_features + "-train.npz", train);
    write_features(flags.save_features + "-test.npz", test);
  }
}

std::string label_of(const FeatureFlags& flags) {
  if (!flags.label.empty()) {
    return flags.label;
  }
  if (flags.names_files()) {
    return "given features";
  }
  return flags.features == FeatureSource::kCheckpoint ? checkpoint_label(flags.checkpoint)
                                                      : enum_name(flags.features);
}

void for_each_features(const FeatureFlags& flags, const FeatureImages& images,
                       const std::function<void(const SplitFeatures&)>& use) {
  if (flags.names_files()) {
    for_each_pair_of_files(flags.train_features, flags.test_features, use);
    return;
  }
  const auto& data = images.data;
  auto extractor = feature_extractor(flags, images.seed, images.device,
                                     {.count = images.views, .hflip = usual_hflip(data)});
  extractor.before_batch = images.before_batch;
  const auto train = make_dataset(data, data.train_split);
  const auto test = make_dataset(data, data.val_split);
  auto loader = images.loader;
  loader.seed = static_cast<uint64_t>(images.seed);
  SplitFeatures features;
  compute_batches(images.device, loader.batch_size, [&] {
    features = split_features({.name = data.dataset,
                               .train = *train,
                               .test = *test,
                               .train_split = data.train_split,
                               .test_split = data.val_split},
                              extractor, loader);
  });
  extractor.forward = {};  // the memory of the model
  save_features(flags, features.train, features.test);
  use(features);
}

std::string sizes_text(const FeatureSizes& sizes) {
  return fmt::format("{}, {}, {} and {}", pluralize(sizes.dim, "feature"),
                     pluralize(sizes.classes, "class", "classes"),
                     pluralize(sizes.train, "training image"), pluralize(sizes.test, "test image"));
}

Json feature_results(const std::string& label, const Json& sets) {
  Json document{{"label", label}};
  if (sets.size() == 1) {
    document.update(sets.front());
  } else {
    document["sets"] = sets;
  }
  return document;
}

}  // namespace softmoe::cli
