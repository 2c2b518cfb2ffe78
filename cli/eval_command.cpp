#include <fmt/format.h>

#include "checkpoints/instruction_checkpoint.h"
#include "checkpoints/open_model.h"
#include "cli/accuracy_table.h"
#include "cli/checkpoint_flags.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/print_line.h"
#include "cli/task_results.h"
#include "core/error.h"
#include "core/pluralize.h"
#include "eval/model_evaluation.h"
#include "inference/inference_model.h"
#include "inference/predictor.h"
#include "ops/compute_precision.h"

namespace softmoe::cli {
namespace {

struct EvalOptions {
  std::string checkpoint;
  std::string label;
  std::string amp_dtype = "auto";

  bool operator==(const EvalOptions&) const = default;
};

void describe(OptionTable& table, EvalOptions& options) {
  describe_checkpoint(table, options.checkpoint);
  describe_label(table, options.label);
  describe_inference_dtype(table, options.amp_dtype,
                           "that of the model's training, or bfloat16 if the hardware has it");
}

std::string summary(const ClassificationResult& result) {
  if (result.mean_average_precision) {
    return fmt::format(" * mAP {:.3f} Acc@1 {:.3f} Acc@5 {:.3f}\n{}, loss {:.4f}\n",
                       100 * *result.mean_average_precision, 100 * result.top1, 100 * result.top5,
                       pluralize(result.examples, "image"), result.loss);
  }
  return fmt::format(
      " * Acc@1 {:.3f} ({:.3f}) Acc@5 {:.3f} ({:.3f})\n"
      "{}, balanced accuracy {:.2f} %, loss {:.4f}, calibration error {:.2f} %\n",
      100 * result.top1, 100 * (1 - result.top1), 100 * result.top5, 100 * (1 - result.top5),
      pluralize(result.examples, "image"), 100 * result.balanced_accuracy, result.loss,
      100 * result.calibration_error);
}

}  // namespace

void run_eval(const std::vector<std::string>& arguments) {
  EvalOptions options;
  TaskEvalOptions tasks;
  DatasetOptions data;
  LoaderOptions loader;
  CommandLine line(
      "eval",
      "Accuracy, loss, calibration and accuracy by class of a checkpoint on the split "
      "--val-split of a data set. The balanced accuracy is the mean over classes. "
      "--json has the confusion matrix, too. Of a multi-label set it is mean average "
      "precision, that of each class, and how often the first predictions are labels. Of a model "
      "of softmoe tune it is the accuracy by task and family, beside that of chance.");
  line.add("Evaluation", options);
  line.add_operand("checkpoint");
  line.add("Tasks", tasks);
  line.add("Data", data);
  line.add("Loader", loader);
  if (!line.parse(arguments)) {
    return;
  }
  if (!tasks.tasks.empty() || is_instruction_checkpoint(options.checkpoint)) {
    eval_tasks_and_print(line, tasks, options.checkpoint, options.label, options.amp_dtype, loader);
    return;
  }
  const auto device = line.device();
  auto loaded = open_weights(options.checkpoint, device);
  if (loaded.description.options.num_classes == 0) {
    throw InputError(options.checkpoint, "a model with a head",
                     "none (softmoe fewshot probes features)");
  }
  const auto set = make_dataset(data, data.val_split);
  check_classes(set->class_names(), loaded.description,
                fmt::format("{} split {}", data.dataset, data.val_split));
  auto model = with_dtype_flag([&] {
    const auto dtype =
        inference_precision(evaluation_dtype_name(options.amp_dtype, loaded.metadata), device);
    return InferenceModel(loaded.description.options, std::move(loaded.weights), options.checkpoint,
                          dtype, device);
  });
  ClassificationResult result;
  compute_batches(device, loader.batch_size, [&] {
    result = evaluate_model([&model](const torch::Tensor& images) { return model.forward(images); },
                            loaded.description,
                            evaluation_transform(loaded.description, options.checkpoint), *set,
                            loader, {.device = device, .images = set->size()});
  });
  print_text(summary(result) + accuracy_table(result, set->class_names()));
  Json document;
  document["label"] = options.label.empty() ? checkpoint_label(options.checkpoint) : options.label;
  document["checkpoint"] = options.checkpoint;
  document["model"] = loaded.description.name;
  document["classes"] = set->class_names();
  document.update(to_json(result));
  line.write_json(document);
}

}  // namespace softmoe::cli
