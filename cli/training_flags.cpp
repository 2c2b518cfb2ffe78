#include "cli/training_flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <ctime>

#include "core/error.h"
#include "core/log.h"
#include "datasets/sources.h"
#include "runtime/compute_precision.h"
#include "train/fit_routers.h"
#include "vit/cost.h"

namespace softmoe::cli {
namespace {

/// "20261122-143005-vit_s16-224": where a run without a name goes.
std::string default_experiment(const std::string& model_name, const VitOptions& model) {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  char stamp[32];
  std::strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &local);
  return fmt::format("{}-{}-{}", stamp, model_name, model.image_height());
}

TrainingData open_training_data(const DatasetOptions& options) {
  TrainingData data{.train = make_dataset(options, options.train_split),
                    .val = make_dataset(options, options.val_split)};
  if (data.train->class_names() != data.val->class_names()) {
    throw InputError(fmt::format("{}: split {}", options.dataset, options.val_split),
                     fmt::format("the {} classes of split {}", data.train->class_names().size(),
                                 options.train_split),
                     fmt::format("{} classes", data.val->class_names().size()));
  }
  return data;
}

}  // namespace

void TrainingFlags::declare(CommandLine& line, VitOptions& model) {
  line.add_derived("Parts of the model; those not given stay as they are", model);
  line.add("Data", data);
  line.add("Preprocessing", preprocess);
  line.add("Loader", loader);
  line.add("Training", train);
  line.add("Parameters that learn", trainable);
  line.add("Optimizer", optimizer);
  line.add("Schedule", schedule);
  line.add("Loss", loss);
  line.add("Losses of routers", router_losses);
}

void TrainingFlags::fit_to_model(const CommandLine& line, const VitOptions& model) {
  if (has_moe(model)) {
    const auto usual = default_router_losses(router_row(model.moe.router));
    for (size_t row = 0; row < kRouterLossCount; ++row) {
      if (!line.given(std::string(router_loss_rows()[row].flag))) {
        router_losses.coefficients[row] = usual.coefficients[row];
      }
    }
  }
  if (!line.given("hflip")) {
    preprocess.hflip = usual_hflip(data);
  }
  const auto given_size = preprocess.input_size;
  fit_preprocessing(preprocess, model);
  if (line.given("input-size") && given_size != preprocess.input_size) {
    throw UsageError("--input-size", "the model's --in-chans and --img-size",
                     fmt::format("{}", fmt::join(given_size, " ")));
  }
}

TrainingData TrainingFlags::prepare(const CommandLine& line, VitOptions& model) {
  auto sets = open_training_data(data);
  if (!line.given("num-classes")) {
    model.num_classes = static_cast<int64_t>(sets.train->class_names().size());
  }
  fit_to_model(line, model);
  return sets;
}

void run_training(const CommandLine& line, const TrainingFlags& flags, const TrainingData& data,
                  TrainingStart start) {
  const auto device = line.device();
  const auto& model_name = start.model_name;
  TrainingRun run;
  run.model_name = model_name;
  run.resize_mode = start.resize_mode;
  run.model = start.model->options();
  run.preprocess = flags.preprocess;
  run.train = flags.train;
  run.trainable = flags.trainable;
  run.optimizer = flags.optimizer;
  run.optimizer_state = std::move(start.optimizer_state);
  run.schedule = flags.schedule;
  run.loss = flags.loss;
  run.router_losses = flags.router_losses;
  run.loader = flags.loader;
  run.loader.seed = static_cast<uint64_t>(flags.train.seed);
  run.loader.shuffle = true;
  run.loader.drop_last = true;
  run.config = line.resolved();
  run.config_text = line.resolved_config();

  const auto experiment = flags.train.experiment.empty() ? default_experiment(model_name, run.model)
                                                         : flags.train.experiment;
  RunFolder folder(std::filesystem::path(flags.train.output) / experiment);
  const auto cost = model_cost(run.model);
  log_line(
      fmt::format("{}: {:.2f} M parameters, {:.4f} GFLOP/img, {} classes, {} x {} px, {} on {}",
                  model_name, static_cast<double>(cost.parameters()) / 1e6, cost.gflop,
                  run.model.num_classes, run.model.image_height(), run.model.image_width(),
                  enum_name(compute_precision(run.train.amp_dtype, device)), device.str()));
  log_line(fmt::format("{} training and {} validation images, run folder {}", data.train->size(),
                       data.val->size(), folder.path().string()));
  if (start.model->wants_router_sample() && !folder.has_checkpoint()) {
    const auto images = fit_routers(start.model, *data.train, run.preprocess, run.loader);
    log_line(fmt::format("routers learned from {} training images", images));
  }
  start.model->to(device);
  Trainer trainer(start.model, std::move(run), *data.train, *data.val, folder, device);
  const auto result = trainer.run();

  Json document;
  document["run_folder"] = folder.path().string();
  document["model"] = model_name;
  document["parameters"] = cost.parameters();
  document["gflop"] = cost.gflop;
  document["result"] = to_json(result);
  if (!result.routing.is_null()) {
    document["routing"] = mean_over_layers(result.routing);
  }
  line.write_json(document);
  fmt::print("{}\n", json_text({{"run_folder", folder.path().string()},
                                {"steps", result.steps},
                                {"eval_top1", result.last.top1},
                                {"best_top1", result.best_top1},
                                {"train_seconds", result.train_seconds}}));
}

}  // namespace softmoe::cli
