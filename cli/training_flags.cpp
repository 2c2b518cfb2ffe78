#include "cli/training_flags.h"

#include <fmt/format.h>

#include <utility>

#include "cli/print_line.h"
#include "ops/compute_precision.h"
#include "train/memory_plan.h"
#include "train/routing_monitor.h"
#include "vit/cost.h"

namespace softmoe::cli {

void add_training_flags(CommandLine& line, RunOptions& options, VitOptions& model) {
  line.add_derived("Parts of the model; those not given stay as they are", model);
  for_each_section(options,
                   [&line](const char* title, auto& section) { line.add(title, section); });
}

TrainingData prepare_training(const CommandLine& line, RunOptions& options, VitOptions& model) {
  auto data = open_training_data(options.data);
  fit_options(options, model, data, line.given_names());
  apply_memory_limit(model, options, compute_precision(options.train.amp_dtype, line.device()));
  return data;
}

void train_and_print(const CommandLine& line, const RunOptions& options, const TrainingData& data,
                     TrainingStart start) {
  const auto model_name = start.model_name;
  const auto cost = model_cost(start.model->options());
  const auto result = run_training({.start = std::move(start),
                                    .options = options,
                                    .command = line.name(),
                                    .device = line.device(),
                                    .config = line.resolved(),
                                    .config_text = line.resolved_config()},
                                   data);
  const auto folder = result.run_folder.string();
  Json document;
  document["run_folder"] = folder;
  document["model"] = model_name;
  document["parameters"] = cost.parameters();
  document["gflop"] = cost.gflop;
  document["result"] = to_json(result);
  if (!result.routing.is_null()) {
    document["routing"] = mean_over_layers(result.routing);
  }
  line.write_json(document);
  print_data(json_text({{"run_folder", folder},
                        {"steps", result.steps},
                        {"eval_top1", result.last.top1},
                        {"best_top1", result.best_top1},
                        {"train_seconds", result.train_seconds},
                        {"images_per_second", result.images_per_second}}) +
             "\n");
}

}  // namespace softmoe::cli
