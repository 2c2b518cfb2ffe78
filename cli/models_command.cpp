#include <fmt/format.h>

#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/model_flags.h"
#include "cli/print_line.h"
#include "core/table.h"
#include "core/text_format.h"
#include "ops/compute_precision.h"
#include "train/memory_plan.h"
#include "train/optimizers.h"
#include "vit/cost.h"

namespace softmoe::cli {
namespace {

struct ModelsOptions {
  std::vector<std::string> models;
  bool memory = false;
  int64_t batch_size = 32;
  std::string amp_dtype = "auto";
  std::string opt = "adamw";
  bool grad_checkpointing = false;
  int64_t loss_chunk = 0;

  bool operator==(const ModelsOptions&) const = default;
};

void describe(OptionTable& table, ModelsOptions& options) {
  table.add("models", options.models, "names to show; none: the whole zoo");
  table.add("memory", options.memory,
            "memory of the tensors of training, beside some 0.5 GB of the program itself");
  table.add("batch-size", options.batch_size, "of --memory", {.unit = "images", .min = 1});
  table.add("amp-dtype", options.amp_dtype, "of --memory",
            {.choices = {"auto", "float32", "bfloat16"}});
  std::vector<std::string> optimizer_names;
  for (const auto& row : optimizers()) {
    optimizer_names.emplace_back(row.name);
  }
  table.add("opt", options.opt, "of --memory", {.choices = optimizer_names});
  table.add("grad-checkpointing", options.grad_checkpointing, "of --memory");
  table.add("loss-chunk", options.loss_chunk, "of --memory", {.unit = "images", .min = 0});
}

MemoryPlan memory_of(const VitOptions& model, const ModelsOptions& options,
                     const torch::Device& device) {
  RunOptions run;
  run.loader.batch_size = options.batch_size;
  run.optimizer.opt = options.opt;
  run.train.grad_checkpointing = options.grad_checkpointing;
  run.objectives.loss.loss_chunk = options.loss_chunk;
  return plan_memory(model, run, compute_precision(options.amp_dtype, device));
}

void add_memory(const MemoryPlan& plan, std::vector<std::string>& row, Json& json) {
  const std::pair<const char*, int64_t> parts[]{{"weights", plan.weights},
                                                {"gradients", plan.gradients},
                                                {"optimizer", plan.optimizer},
                                                {"activations", plan.activations + plan.work},
                                                {"peak", plan.peak()}};
  for (const auto& [name, bytes] : parts) {
    row.push_back(format_bytes(static_cast<double>(bytes)));
    json["memory"][name] = bytes;
  }
}

}  // namespace

void run_models(const std::vector<std::string>& arguments) {
  ModelsOptions options;
  VitOptions parts;
  CommandLine line("models",
                   "The zoo: parameters and GFLOP per image, counted without making a model.");
  line.add("Models", options);
  line.add_operand("models", /*required=*/false);
  line.add_overrides("Parts of every model; those not given stay as they are", parts);
  if (!line.parse(arguments)) {
    return;
  }
  std::vector<std::string> headings{"model",      "timm",         "image",
                                    "parameters", "without head", "GFLOP/img"};
  if (options.memory) {
    headings.insert(headings.end(), {"weights", "gradients", "optimizer", "activations", "peak"});
  }
  TextTable table(headings);
  Json models = Json::array();
  for (const auto& name : options.models.empty() ? zoo_names() : options.models) {
    const auto model = changed_model(line, name);
    const auto cost = model_cost(model);
    const auto size = fmt::format("{}x{}", model.image_height(), model.image_width());
    std::vector<std::string> row{name,
                                 timm_alias(name),
                                 size,
                                 fmt::format("{}", cost.parameters()),
                                 fmt::format("{}", cost.backbone_parameters),
                                 fmt::format("{:.2f}", cost.gflop)};
    Json json({{"name", name},
               {"timm", timm_alias(name)},
               {"img_size", {model.image_height(), model.image_width()}},
               {"parameters", cost.parameters()},
               {"backbone_parameters", cost.backbone_parameters},
               {"gflop", cost.gflop},
               {"classes", model.num_classes}});
    if (options.memory) {
      add_memory(memory_of(model, options, line.device()), row, json);
    }
    table.add_row(row);
    models.push_back(std::move(json));
  }
  print_text(table.text());
  line.write_json({{"models", models}});
}

}  // namespace softmoe::cli
