#include <fmt/format.h>

#include "checkpoints/image_text_checkpoint.h"
#include "cli/checkpoint_flags.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/print_line.h"
#include "core/error.h"
#include "core/log.h"
#include "core/table.h"
#include "datasets/dataset.h"
#include "eval/soup.h"
#include "inference/predictor.h"

namespace softmoe::cli {
namespace {

struct AverageFlags {
  std::string output;
  bool greedy = false;
  std::string amp_dtype = "auto";

  bool operator==(const AverageFlags&) const = default;
};

void describe(OptionTable& table, AverageFlags& flags) {
  table.add("output", flags.output, "where the mean goes", {.unit = "file"});
  table.add("greedy", flags.greedy,
            "try the models from the most accurate on and keep those with which the mean does not "
            "become less accurate");
  table.add("amp-dtype", flags.amp_dtype,
            "compute dtype; auto: that of the first model's training, or bfloat16 if the hardware "
            "has it",
            {.choices = {"auto", "float32", "bfloat16"}});
}

std::string result_table(const Soup& soup) {
  TextTable table({"model", "in the mean", "Acc@1", "loss"});
  const auto add = [&](const std::string& name, const std::string& is_in,
                       const std::optional<ClassificationResult>& result) {
    table.add_row({name, is_in, result ? fmt::format("{:.2f} %", 100 * result->top1) : "-",
                   result ? fmt::format("{:.4f}", result->loss) : "-"});
  };
  for (const auto& model : soup.models) {
    add(model.path, model.is_in_soup ? "yes" : "no", model.result);
  }
  add("mean", "", soup.result);
  return table.text();
}

void check_flags(const AverageFlags& flags, const std::vector<std::string>& checkpoints,
                 bool has_data) {
  if (flags.output.empty()) {
    throw UsageError("--output is missing: where the mean goes");
  }
  if (checkpoints.size() < 2) {
    throw UsageError("CHECKPOINT", "at least two files", std::to_string(checkpoints.size()));
  }
  for (const auto& checkpoint : checkpoints) {
    check_output(checkpoint, flags.output);
  }
  if (flags.greedy && !has_data) {
    throw UsageError("--data-dir or --dataset is missing: --greedy measures accuracies on images");
  }
}

}  // namespace

void run_average(const std::vector<std::string>& arguments) {
  AverageFlags flags;
  DatasetOptions data;
  LoaderOptions loader;
  std::vector<std::string> checkpoints;
  CommandLine line(
      "average",
      "Average the weights of checkpoints of one architecture: of the last epochs of a run, or of "
      "several fine-tunings of one model (model soups, arXiv:2203.05482). With --data-dir or "
      "--dataset, the models and their mean are measured on the images of --val-split; --greedy "
      "chooses by them, so measure its result on others. Models of images and texts are averaged, "
      "not measured.");
  line.add("Average", flags);
  line.add_names({.name = "CHECKPOINT", .meaning = "files of the models"}, checkpoints);
  line.add("Data", data);
  line.add("Loader", loader);
  if (!line.parse(arguments)) {
    return;
  }
  const bool has_data = line.given("dataset") || line.given("data-dir");
  check_flags(flags, checkpoints, has_data);
  const auto device = line.device();
  Soup soup;
  if (is_image_text_file(checkpoints.front())) {
    if (has_data) {
      throw UsageError("--data-dir, --dataset",
                       "none for models of images and texts, which are "
                       "averaged without a measurement (softmoe zeroshot measures the mean)",
                       "a data set");
    }
    soup = image_text_soup(checkpoints);
  } else if (has_data) {
    const auto set = make_dataset(data, data.val_split);
    const SoupImages images{.set = *set,
                            .transform = evaluation_transform,
                            .loader = loader,
                            .amp_dtype = flags.amp_dtype,
                            .device = device};
    compute_batches(device, loader.batch_size, [&] {
      soup = flags.greedy ? greedy_soup(checkpoints, images) : uniform_soup(checkpoints, &images);
    });
  } else {
    soup = uniform_soup(checkpoints, nullptr);
  }
  line.write_json(to_json(soup), [&] { save_checkpoint(flags.output, soup.checkpoint); });
  log_line("wrote " + flags.output);
  print_text(result_table(soup));
}

}  // namespace softmoe::cli
