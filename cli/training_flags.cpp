#include "cli/training_flags.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "cli/print_line.h"
#include "core/error.h"
#include "core/log.h"
#include "datasets/pipeline.h"
#include "ops/compute_precision.h"
#include "parallel/core_share.h"
#include "parallel/world.h"
#include "runtime/machine.h"
#include "train/memory_plan.h"
#include "train/routing_monitor.h"
#include "vit/cost.h"

namespace softmoe::cli {

void add_training_flags(CommandLine& line, RunOptions& options, VitOptions& model) {
  line.add_derived("Parts of the model; those not given stay as they are", model);
  for_each_section(options,
                   [&line](const char* title, auto& section) { line.add(title, section); });
}

namespace {

using Size = std::vector<int64_t>;  // channels, height, width

/// Sets what `--pp` says. Returns the size of its images if it says anything.
std::optional<Size> apply_pipeline(const CommandLine& line, RunOptions& options) {
  const auto text = std::exchange(options.train.pp, {});
  if (text.empty()) {
    return std::nullopt;
  }
  auto names = pipeline_options();
  names.insert(names.end(), {"mixup", "cutmix", "cutmix-minmax", "mixup-mode", "mixup-prob"});
  for (const auto& name : names) {
    if (line.given(name)) {
      throw UsageError("--pp and --" + name + ": give one of them");
    }
  }
  auto steps = parse_pipeline(text);
  apply_image_steps(steps, options.preprocess);
  apply_mixing_steps(steps, options.mixup);
  check_pipeline(steps, options.preprocess, {"mixup", "cutmix"});
  return options.preprocess.input_size;
}

void check_pipeline_size(const Size& made, const Size& taken) {
  if (made != taken) {
    const auto text = [](const Size& size) {
      return fmt::format("{}images of {}x{}", size[0] == 1 ? "gray " : "", size[1], size[2]);
    };
    throw UsageError("--pp", text(taken) + ", which the model takes", text(made));
  }
}

}  // namespace

TrainingData prepare_training(const CommandLine& line, RunOptions& options, VitOptions& model) {
  auto data = open_training_data(options.data);
  auto keep = line.given_names();
  const auto made = apply_pipeline(line, options);
  if (made) {
    keep.insert("hflip");
  }
  fit_options(options, model, data, keep);
  if (made) {
    check_pipeline_size(*made, options.preprocess.input_size);
  }
  apply_memory_limit(model, options, compute_precision(options.train.amp_dtype, line.device()));
  return data;
}

namespace {

/// The processes that the environment names, with their shares of the cores.
World join_world(const CommandLine& line) {
  const auto world = World::join(read_world_environment(), line.device());
  if (world.is_alone()) {
    return world;
  }
  if (line.common().threads == 0) {
    set_compute_threads(cores_of_process(world));
  }
  const auto threads = world.gather_texts(std::to_string(at::get_num_threads()));
  const bool is_equal = std::count(threads.begin(), threads.end(), threads[0]) == world.size();
  log_line(fmt::format("{} processes, with {} {} each", world.size(),
                       is_equal ? threads[0] : fmt::format("{}", fmt::join(threads, ", ")),
                       is_equal && threads[0] == "1" ? "thread" : "threads"));
  return world;
}

}  // namespace

void train_and_print(const CommandLine& line, const RunOptions& options, const TrainingData& data,
                     TrainingStart start, RunParts parts) {
  const auto model_name = start.model_name;
  const auto world = join_world(line);
  const auto cost = model_cost(parts.upcycling ? parts.upcycling->to : start.model->options());
  const auto result = run_training({.start = std::move(start),
                                    .options = options,
                                    .command = line.name(),
                                    .device = line.device(),
                                    .config = line.resolved(),
                                    .config_text = line.resolved_config(),
                                    .teacher = std::move(parts.teacher),
                                    .matcher = std::move(parts.matcher),
                                    .upcycling = std::move(parts.upcycling),
                                    .image_text = std::move(parts.image_text),
                                    .instruction = std::move(parts.instruction),
                                    .world = world},
                                   data);
  if (!world.is_first()) {
    return;
  }
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
                        {best_name(result), result.best_score},
                        {"train_seconds", result.train_seconds},
                        {"images_per_second", result.images_per_second}}) +
             "\n");
}

}  // namespace softmoe::cli
