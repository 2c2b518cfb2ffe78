#include <fmt/format.h>

#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/model_flags.h"
#include "cli/print_line.h"
#include "core/table.h"
#include "vit/cost.h"

namespace softmoe::cli {
namespace {

struct ModelsOptions {
  std::vector<std::string> models;

  bool operator==(const ModelsOptions&) const = default;
};

void describe(OptionTable& table, ModelsOptions& options) {
  table.add("models", options.models, "names to show; none: the whole zoo");
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
  TextTable table({"model", "timm", "image", "parameters", "without head", "GFLOP/img"});
  Json models = Json::array();
  for (const auto& name : options.models.empty() ? zoo_names() : options.models) {
    const auto model = changed_model(line, name);
    const auto cost = model_cost(model);
    const auto size = fmt::format("{}x{}", model.image_height(), model.image_width());
    table.add_row({name, timm_alias(name), size, fmt::format("{}", cost.parameters()),
                   fmt::format("{}", cost.backbone_parameters), fmt::format("{:.2f}", cost.gflop)});
    models.push_back({{"name", name},
                      {"timm", timm_alias(name)},
                      {"img_size", {model.image_height(), model.image_width()}},
                      {"parameters", cost.parameters()},
                      {"backbone_parameters", cost.backbone_parameters},
                      {"gflop", cost.gflop},
                      {"classes", model.num_classes}});
  }
  print_text(table.text());
  line.write_json({{"models", models}});
}

}  // namespace softmoe::cli
