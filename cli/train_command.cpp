#include "cli/commands.h"
#include "cli/model_flags.h"
#include "cli/training_flags.h"
#include "core/error.h"
#include "train/image_text_run.h"
#include "train/upcycle_start.h"
#include "vit/image_text_zoo.h"

namespace softmoe::cli {
namespace {

/// The options of the model before the user changes parts of it: those of the preset, or of the
/// dense checkpoint to start from, whose name then replaces that of `flags`.
VitOptions first_options(const CommandLine& line, UpcycleStartOptions& dense, ModelOptions& flags) {
  if (dense.checkpoint.empty()) {
    return model_preset(flags.model);
  }
  const auto source = upcycle_source(dense);
  if (line.given("model") && flags.model != source.name) {
    throw UsageError("--model", source.name + " as in --upcycle " + dense.checkpoint, flags.model);
  }
  flags.model = source.name;
  dense.resize.resolve(source.resize_mode);
  return source.options;
}

/// What `--upcycle-at` asks for of a run that ends with `model`.
std::optional<MidUpcycling> upcycling_of(const UpcycleStartOptions& dense, const VitOptions& model,
                                         const RunOptions& options) {
  if (dense.at.empty()) {
    return std::nullopt;
  }
  if (options.trainable != TrainableOptions{}) {
    throw UsageError("--upcycle-at", "a run in which all parameters learn",
                     "--trainable or --freeze");
  }
  const auto moment = parse_upcycle_moment(dense.at);
  check_moment(moment, options.train);
  return mid_upcycling(moment, model, dense.upcycling);
}

/// The options of the text side, without those of the image tower, which have flags of their own.
struct TextSide {
  ImageTextOptions towers;
};

void describe(OptionTable& table, TextSide& side) { describe_text_side(table, side.towers); }

/// Throws UsageError for options that only the contrastive objective reads, if they have other
/// values than their defaults.
void check_not_given(const CommandLine& line, const std::string& model) {
  if (is_image_text_name(model)) {
    throw UsageError("--model", "an image model, or --objective contrastive", model);
  }
  TextSide side;
  ContrastiveOptions contrastive;
  const auto values = line.resolved();
  for (const auto& table : {option_table(side), option_table(contrastive)}) {
    for (const auto& field : table.fields()) {
      // Config files of runs have the defaults.
      if (line.given(field.name()) && values.at(field.name()) != field.to_json() &&
          field.name() != "objective") {
        throw UsageError("--" + field.name(), "--objective contrastive beside it",
                         "--objective classification");
      }
    }
  }
}

/// Trains a model of images and texts.
void run_contrastive(const CommandLine& line, const std::string& name, RunOptions& options) {
  const auto& contrastive = options.objectives.contrastive;
  auto image_init = read_image_init(contrastive);
  TextSide side{image_text_options(name, image_init)};
  line.apply(side.towers.image);
  line.apply(side);
  if (image_init && image_init->description.preprocess) {
    const auto mine = options.preprocess;
    options.preprocess = *image_init->description.preprocess;
    options.preprocess.augment = mine.augment;
    options.preprocess.hflip = mine.hflip;
    options.preprocess.train_crop = mine.train_crop;
    line.apply(options.preprocess);
  }
  options.data.captions = contrastive.templates.empty();
  const auto data = prepare_training(line, options, side.towers.image);
  auto run =
      image_text_run(name, side.towers, std::move(image_init), options, data, line.given_names());
  auto start = start_of(*run);
  train_and_print(line, options, data, std::move(start), {.image_text = std::move(run)});
}

}  // namespace

void run_train(const std::vector<std::string>& arguments) {
  ModelOptions flags;
  UpcycleStartOptions dense;
  RunOptions options;
  TextSide side;
  auto model = model_preset(flags.model);
  CommandLine line("train",
                   "Train a model from scratch. Started again with the same --experiment, it "
                   "resumes where it was.");
  line.add("Model", flags);
  line.add("Upcycling", dense);
  line.add("Images and texts", options.objectives.contrastive);
  line.add_overrides("Text tower, of --objective contrastive", side);
  add_training_flags(line, options, model);
  if (!line.parse(arguments)) {
    return;
  }
  if (options.objectives.contrastive.is_on()) {
    if (!dense.checkpoint.empty() || !dense.at.empty()) {
      throw UsageError(dense.at.empty() ? "--upcycle" : "--upcycle-at",
                       "--objective classification", "contrastive");
    }
    run_contrastive(line, flags.model, options);
    return;
  }
  check_not_given(line, flags.model);
  model = first_options(line, dense, flags);
  apply_model_flags(line, model);
  const auto data = prepare_training(line, options, model);
  if (!line.given("head-bias")) {
    fit_head_bias(options.objectives.loss, model);
  }
  const auto upcycling = upcycling_of(dense, model, options);
  const auto& first = upcycling ? upcycling->from : model;
  const auto seed = options.train.seed;
  const auto resize_mode = dense.resize.resolve(ModelDescription{}.resize_mode);
  train_and_print(line, options, data,
                  dense.checkpoint.empty()
                      ? fresh_start(flags.model, first, seed, resize_mode)
                      : upcycle_start(dense, first, data.train->class_names(), seed),
                  {.upcycling = upcycling});
}

}  // namespace softmoe::cli
