#include <fmt/format.h>

#include "checkpoints/model_description.h"
#include "cli/accuracy_table.h"
#include "cli/checkpoint_flags.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/print_line.h"
#include "core/error.h"
#include "core/pluralize.h"
#include "datasets/prompt_templates.h"
#include "datasets/single_labels.h"
#include "eval/model_evaluation.h"
#include "eval/zero_shot.h"
#include "inference/image_text_inference.h"

namespace softmoe::cli {

/// What is asked of a model of images and texts.
enum class ZeroShotTask { kAuto, kClassify, kRetrieve };

}  // namespace softmoe::cli

namespace softmoe {

template <>
inline constexpr std::array<EnumName<cli::ZeroShotTask>, 3> kEnumNames<cli::ZeroShotTask>{
    {{cli::ZeroShotTask::kAuto, "auto"},
     {cli::ZeroShotTask::kClassify, "classify"},
     {cli::ZeroShotTask::kRetrieve, "retrieve"}}};

}  // namespace softmoe

namespace softmoe::cli {
namespace {

struct ZeroShotOptions {
  std::string checkpoint;
  ZeroShotTask task = ZeroShotTask::kAuto;
  std::string templates = "default";
  std::string tokenizer;
  std::string label;
  std::string amp_dtype = "auto";

  bool operator==(const ZeroShotOptions&) const = default;
};

void describe(OptionTable& table, ZeroShotOptions& options) {
  describe_checkpoint(table, options.checkpoint);
  table.add("task", options.task,
            "classify images by texts about their classes, retrieve captions of images and images "
            "of captions, or what the data set has (both if it has labels and captions)");
  table.add("caption-templates", options.templates,
            "sentences about a class, whose embeddings are averaged: default, or a file with one "
            "per line, with {} for the name of the class",
            {.unit = "file"});
  table.add("tokenizer", options.tokenizer,
            "the vocabulary of a checkpoint of another project; not given: that of the checkpoint, "
            "or beside it",
            {.unit = "file"});
  describe_label(table, options.label);
  describe_inference_dtype(table, options.amp_dtype,
                           "that of the model's training, or bfloat16 if the hardware has it");
}

Json classify(const ZeroShotAsker& asker, const ZeroShotOptions& options, const Dataset& set,
              Loader& loader, const BatchLoopOptions& loop) {
  const auto templates = prompt_templates(options.templates);
  const auto result = zero_shot_classification(asker, set, templates, loader, loop);
  print_text(fmt::format(" * Acc@1 {:.3f} ({:.3f}) Acc@5 {:.3f} ({:.3f})\n"
                         "{}, {}, {} of {}, balanced accuracy {:.2f} %\n",
                         100 * result.top1, 100 * (1 - result.top1), 100 * result.top5,
                         100 * (1 - result.top5), pluralize(result.examples, "image"),
                         pluralize(std::ssize(set.class_names()), "class", "classes"),
                         pluralize(std::ssize(templates), "template"), options.templates,
                         100 * result.balanced_accuracy) +
             accuracy_table(result, set.class_names()));
  auto json = to_json(result);
  json["class_texts"] = set.class_texts();
  json["templates"] = templates;
  return json;
}

Json retrieve(const ZeroShotAsker& asker, const Dataset& set, Loader& loader,
              const BatchLoopOptions& loop) {
  const auto result = zero_shot_retrieval(asker, set, loader, loop);
  print_text(fmt::format(" * {}\n{}, {}\n", recall_text(result), pluralize(result.images, "image"),
                         pluralize(result.texts, "different text")));
  return to_json(result);
}

}  // namespace

void run_zeroshot(const std::vector<std::string>& arguments) {
  ZeroShotOptions options;
  DatasetOptions data;
  LoaderOptions loader;
  CommandLine line("zeroshot",
                   "Ask a model of images and texts about the images of --val-split, which it need "
                   "not have been trained on: which class each shows, by sentences about the "
                   "classes, or which caption belongs to it. Reads native checkpoints and those of "
                   "open_clip and Hugging Face (CLIP, SigLIP).");
  line.add("Zero-shot evaluation", options);
  line.add_operand("checkpoint");
  line.add("Data", data);
  line.add("Loader", loader);
  if (!line.parse(arguments)) {
    return;
  }
  prompt_templates(options.templates);  // throws for a bad file before anything is computed
  const auto device = line.device();
  data.captions = options.task != ZeroShotTask::kClassify;
  const auto set = make_dataset(data, data.val_split);
  auto model = open_zero_shot_model(options.checkpoint, options.tokenizer);
  const ModelDescription images{.name = model.description.name,
                                .options = model.description.options.image,
                                .class_names = {},
                                .preprocess = model.description.preprocess};
  auto towers = with_dtype_flag([&] {
    const auto dtype =
        inference_precision(evaluation_dtype_name(options.amp_dtype, model.metadata), device);
    return ImageTextInference(model.description.options, std::move(model.weights),
                              options.checkpoint, dtype, device);
  });
  const auto encoder = encoder_of(towers);
  const ZeroShotAsker asker{.encoder = encoder, .tokenizer = *model.tokenizer};
  const BatchLoopOptions loop{.device = device, .images = set->size()};
  Loader batches(*set, Transform::evaluation(stored_preprocess(images, options.checkpoint)),
                 loader);
  const bool has_classes = has_single_labels(*set);
  const bool is_auto = options.task == ZeroShotTask::kAuto;
  Json document;
  document["label"] = options.label.empty() ? checkpoint_label(options.checkpoint) : options.label;
  document["checkpoint"] = options.checkpoint;
  document["model"] = model.description.name;
  compute_batches(device, loader.batch_size, [&] {
    if (options.task == ZeroShotTask::kClassify || (is_auto && has_classes)) {
      document["classes"] = set->class_names();
      document["classification"] = classify(asker, options, *set, batches, loop);
    }
    if (options.task == ZeroShotTask::kRetrieve || (is_auto && set->has_captions()) ||
        (is_auto && !has_classes)) {
      document["retrieval"] = retrieve(asker, *set, batches, loop);
    }
  });
  line.write_json(document);
}

}  // namespace softmoe::cli
