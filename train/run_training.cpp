#include "train/run_training.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "checkpoints/module_tensors.h"
#include "core/error.h"
#include "core/log.h"
#include "datasets/bad_images.h"
#include "datasets/inspection.h"
#include "datasets/subset.h"
#include "inference/inference_model.h"
#include "io/new_folder.h"
#include "ops/compute_precision.h"
#include "train/fit_routers.h"
#include "train/image_sizes.h"
#include "train/shared_run.h"
#include "train/trainer.h"
#include "train/world_rules.h"
#include "vit/cost.h"

namespace softmoe {
namespace {

/// Validation images that are read before a run begins.
constexpr int64_t kCheckedImages = 1000;

/// "20261122-143005-vit_s16-224": the folder of a run without a name.
std::string default_experiment(const std::string& model_name, const VitOptions& model) {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  std::array<char, 32> stamp{};
  std::strftime(stamp.data(), stamp.size(), "%Y%m%d-%H%M%S", &local);
  return fmt::format("{}-{}-{}", stamp.data(), model_name, model.image_height());
}

/// The folder of the run. One without a name never shares it with another run.
NewFolder make_folder(const TrainingSetup& setup) {
  const auto& train = setup.options.train;
  const std::filesystem::path output(train.output);
  if (!train.experiment.empty()) {
    const std::filesystem::path name(train.experiment);
    if (name.is_absolute() || std::ranges::find(name, "..") != name.end()) {
      throw UsageError("--experiment", "a name of a folder within --output",
                       "'" + printable_text(train.experiment) + "'");
    }
    std::error_code none;
    if (std::filesystem::equivalent(output / name, setup.options.data.data_dir, none)) {
      throw UsageError("--experiment", "another folder than that of the images (--data-dir)",
                       "'" + printable_text((output / name).string()) + "'");
    }
    return NewFolder(output / name);
  }
  return NewFolder::numbered(
      output / default_experiment(setup.start.model_name, setup.start.model->options()));
}

/// Throws InputError if too many validation images cannot be read, which would end the run at its
/// first evaluation. Of a large set, some are tried.
void check_readable(const Dataset& val, const LoaderOptions& loader) {
  const auto some = spread_subset(val, kCheckedImages);
  check_bad_images(find_bad_images(some, loader.workers), loader.max_bad_images, some.size());
}

/// Computes the features of a locked image tower once if training sees each image the same way.
void compute_locked_features(TrainingSetup& setup, const Dataset& train_set) {
  const auto& run = setup.image_text;
  if (!run || !run->lock_image || train_set.endless() || !setup.options.preprocess.is_fixed()) {
    return;
  }
  auto& tower = run->model->image;
  InferenceModel engine(
      tower->options(), named_tensors(*tower), setup.options.objectives.contrastive.image_init,
      compute_precision(setup.options.train.amp_dtype, setup.device), setup.device);
  run->features = std::make_shared<LockedFeatures>(
      train_set, [&](const torch::Tensor& images) { return engine.forward_features(images); },
      Transform::training(setup.options.preprocess), setup.options.loader,
      BatchLoopOptions{.device = setup.device, .label = "Features", .images = train_set.size()});
}

void log_start(const TrainingSetup& setup, const TrainingData& data, const RunFolder& folder) {
  const auto& model = setup.start.model->options();
  const auto cost = model_cost(model);
  const auto precision = compute_precision(setup.options.train.amp_dtype, setup.device);
  log_line(
      fmt::format("{}: {:.2f} M parameters, {:.4f} GFLOP/img, {} classes, {} x {} px, {} on {}",
                  setup.start.model_name, static_cast<double>(cost.parameters()) / 1e6, cost.gflop,
                  model.num_classes, model.image_height(), model.image_width(),
                  enum_name(precision), setup.device.str()));
  if (const auto& upcycling = setup.upcycling) {
    const auto later = model_cost(upcycling->to);
    log_line(fmt::format(
        "the model is dense at first; it becomes one of {:.2f} M parameters and {:.4f} GFLOP/img",
        static_cast<double>(later.parameters()) / 1e6, later.gflop));
  }
  log_line("transform: " + Transform::training(setup.options.preprocess).text() +
           mixing_text(setup.options.mixup));
  log_line(fmt::format("{} training and {} validation images, run folder {}", data.train->size(),
                       data.val->size(), folder.path().string()));
}

/// The folder of the run, which the first process makes.
RunFolder run_folder(const TrainingSetup& setup, std::optional<NewFolder>& made) {
  const auto& world = setup.world;
  if (!world.is_first()) {
    const auto text = Json::parse(world.text_of_first(""));
    return RunFolder::of_other_process(text.at("path").get<std::string>(), text.at("resumes"));
  }
  made.emplace(make_folder(setup));
  RunFolder folder(made->path());
  world.text_of_first(
      json_text({{"path", folder.path().string()}, {"resumes", folder.has_checkpoint()}}));
  return folder;
}

TrainResult train_in_folder(TrainingSetup setup, const TrainingData& data) {
  check_world(setup);
  if (!setup.world.is_alone()) {
    complete_config(setup);
    check_agreement(setup, data_identity(*data.train, *data.val, setup.options.data));
  }
  std::optional<NewFolder> made;
  auto folder = run_folder(setup, made);
  log_start(setup, data, folder);
  if (!folder.has_checkpoint() && setup.world.is_first()) {
    check_readable(*data.val, setup.options.loader);
  }
  auto& model = setup.start.model;
  if (model->wants_router_sample() && !folder.has_checkpoint()) {
    const auto images =
        fit_routers(model, *data.train, setup.options.preprocess, training_loader(setup.options));
    log_line(fmt::format("routers learned from {} training images", images));
  }
  try_image_sizes(model, image_size_stages(setup.options.train, model->options()));
  if (setup.upcycling && !setup.options.train.image_size_schedule.empty()) {
    const auto& to = setup.upcycling->to;
    try_image_sizes(make_model(to, /*seed=*/0), image_size_stages(setup.options.train, to));
  }
  setup.move_to_device();
  share_tensors(setup.world, setup.model());
  if (setup.options.parallel.expert_parallel > 1) {
    setup.experts = std::make_shared<ExpertParallel>(setup);
    const int64_t ranks = setup.options.parallel.expert_parallel;
    log_line(fmt::format("each process has {} of the {} experts of a layer",
                         setup.start.model->options().moe.experts / ranks,
                         setup.start.model->options().moe.experts));
  }
  compute_locked_features(setup, *data.train);
  Trainer trainer(std::move(setup), *data.train, *data.val, folder);
  return trainer.run();
}

}  // namespace

TrainResult run_training(TrainingSetup setup, const TrainingData& data) {
  const auto world = setup.world;
  try {
    auto result = train_in_folder(std::move(setup), data);
    world.close();
    return result;
  } catch (const Interrupted&) {
    throw;  // as in all other processes
  } catch (const std::exception& error) {
    world.announce(single_line(error.what()));
    throw;
  }
}

}  // namespace softmoe
