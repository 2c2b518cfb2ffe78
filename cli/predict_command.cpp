#include <fmt/format.h>

#include <set>

#include "checkpoints/open_model.h"
#include "cli/ask_images.h"
#include "cli/checkpoint_flags.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/print_line.h"
#include "core/error.h"
#include "core/log.h"
#include "core/pluralize.h"
#include "core/split_text.h"
#include "datasets/loader.h"
#include "inference/image_inputs.h"
#include "inference/prediction_output.h"
#include "io/npz.h"

namespace softmoe::cli {
namespace {

struct PredictOptions {
  std::string checkpoint;
  std::string images;
  int64_t topk = 5;
  PredictionFormat format = PredictionFormat::kTable;
  std::string output;
  std::string label;
  std::string what = "logits,features,labels";
  int64_t batch_size = 32;
  int64_t workers = 2;
  std::string amp_dtype = "float32";

  bool operator==(const PredictOptions&) const = default;
};

void describe(OptionTable& table, PredictOptions& options) {
  describe_checkpoint(table, options.checkpoint);
  table.add("images", options.images,
            "an .npz instead of image files, with the array `images` [n, height, width, channels]: "
            "uint8, prepared as image files are, or float of the model's size and range",
            {.unit = "file"});
  table.add("topk", options.topk, "labels to show for each image, the most probable first",
            {.min = 1});
  table.add("format", options.format,
            "format of the labels on standard output; with --output they are shown only if this is "
            "given");
  table.add("output", options.output,
            "write arrays, one row per image, to this .npz; for image files also `indices`, the "
            "place of each row's image among all that were given",
            {.unit = "file"});
  table.add("what", options.what,
            "the arrays for --output: logits, features (the input of the head), labels (the most "
            "probable ones), joined by commas");
  describe_label(table, options.label);
  table.add("batch-size", options.batch_size, "images that are computed together",
            {.unit = "images", .min = 1, .max = kMaxBatch});
  table.add("workers", options.workers, "threads that read images while the model computes",
            {.unit = "threads", .min = 1, .max = kMaxWorkers});
  describe_inference_dtype(table, options.amp_dtype,
                           "bfloat16 if the hardware has it, which is faster");
}

/// The arrays that `what` names.
std::set<std::string> requested_arrays(const std::string& what) {
  static const std::set<std::string> known{"logits", "features", "labels"};
  std::set<std::string> names;
  for (auto& name : split_text(what, ',')) {
    name = trimmed(name, " ");
    if (!known.contains(name)) {
      throw UsageError("--what", "logits, features or labels joined by commas", "'" + name + "'");
    }
    names.insert(name);
  }
  if (names.empty()) {
    throw UsageError("--what", "logits, features or labels joined by commas", "nothing");
  }
  return names;
}

void check_usage(const PredictOptions& options, const std::vector<std::string>& paths) {
  if (paths.empty() == options.images.empty()) {
    throw UsageError(paths.empty() ? "nothing to predict: give image files, folders or --images"
                                   : "give either image files and folders or --images, not both");
  }
  for (const auto& path : paths) {
    if (path.ends_with(".npz")) {
      throw UsageError("arrays are given as --images " + path);
    }
  }
}

/// Throws UsageError for options that do not go with a question.
void check_ask_usage(const PredictOptions& options, const AskOptions& ask) {
  if (ask.question.empty()) {
    if (!ask.answers.empty()) {
      throw UsageError("--answers", "a question by --ask beside it", "none");
    }
    return;
  }
  if (!options.images.empty() || !options.output.empty()) {
    throw UsageError("--ask", "image files, and answers by --format or --json",
                     options.images.empty() ? "--output" : "--images");
  }
}

AskRequest request_of(const PredictOptions& options) {
  return {.checkpoint = options.checkpoint,
          .label = options.label,
          .topk = options.topk,
          .format = options.format,
          .batch_size = options.batch_size,
          .workers = options.workers,
          .amp_dtype = options.amp_dtype};
}

/// The images to predict labels of.
struct Inputs {
  std::unique_ptr<Dataset> set;  ///< images that need preparation, or nullptr
  torch::Tensor ready;           ///< [images, height, width, channels], prepared images
  std::string name;

  int64_t size() const { return set != nullptr ? set->size() : ready.size(0); }
  std::string image_name(int64_t index) const {
    return set != nullptr ? set->sample_name(index) : fmt::format("{}[{}]", name, index);
  }
};

Inputs open_inputs(const PredictOptions& options, const std::vector<std::string>& paths) {
  Inputs inputs;
  if (!paths.empty()) {
    inputs.set = open_image_paths(paths);
    return inputs;
  }
  inputs.name = options.images + ": images";
  const auto images = read_npz(options.images, {"images"}).at("images");
  if (images.is_floating_point()) {
    inputs.ready = images;
  } else {
    inputs.set = open_image_array(images, inputs.name);
  }
  return inputs;
}

Predictions predict_inputs(Predictor& predictor, const Inputs& inputs,
                           const PredictOptions& options, const std::set<std::string>& arrays) {
  const bool writes = !options.output.empty();
  const PredictionRequest request{.topk = options.topk,
                                  .logits = writes && arrays.contains("logits"),
                                  .features = writes && arrays.contains("features")};
  return inputs.set != nullptr
             ? predictor.predict(*inputs.set, options.batch_size, options.workers, request)
             : predictor.predict(inputs.ready, inputs.name, options.batch_size, request);
}

void write_arrays(const PredictOptions& options, const std::set<std::string>& names,
                  const Predictions& predictions, bool from_files) {
  NamedTensors arrays;
  if (names.contains("logits")) {
    arrays["logits"] = predictions.logits;
  }
  if (names.contains("features")) {
    arrays["features"] = predictions.features;
  }
  if (names.contains("labels")) {
    arrays["labels"] = predictions.classes.select(/*dim=*/1, 0).contiguous();  // [images]
  }
  if (from_files) {
    arrays["indices"] = predictions.indices;
  }
  write_npz(options.output, arrays);
  log_line(fmt::format("{}: {} of {}", options.output, options.what,
                       pluralize(predictions.indices.size(0), "image")));
}

/// Throws InputError if images could not be read, after one line for each of them.
void report_bad_images(const std::vector<BadImage>& bad, int64_t total) {
  if (bad.empty()) {
    return;
  }
  if (bad.size() == 1) {
    throw InputError(bad.front().reason);
  }
  for (const auto& image : bad) {
    log_line("softmoe: " + image.reason);
  }
  throw InputError(fmt::format("{} of {} images could not be read", bad.size(), total));
}

}  // namespace

void run_predict(const std::vector<std::string>& arguments) {
  PredictOptions options;
  AskOptions ask;
  std::vector<std::string> paths;
  CommandLine line("predict",
                   "Labels, logits or features of images. An image that cannot be read is named, "
                   "the others are predicted, and the exit code is 1.");
  line.add("Prediction", options);
  line.add("Questions", ask);
  line.add_operand("checkpoint");
  line.add_names(
      {.name = "IMAGE",
       .meaning = "image files of any common format, folders of them at any depth, and - for "
                  "standard input"},
      paths);
  if (!line.parse(arguments)) {
    return;
  }
  check_usage(options, paths);
  check_ask_usage(options, ask);
  if (!ask.question.empty()) {
    ask_and_print(line, ask, request_of(options), paths);
    return;
  }
  const auto arrays = requested_arrays(options.what);
  const bool show = options.output.empty() || line.given("format");
  const auto device = line.device();
  auto weights = open_weights(options.checkpoint, device);
  auto predictor = with_dtype_flag([&] {
    return Predictor(std::move(weights), options.checkpoint,
                     inference_precision(options.amp_dtype, device), device);
  });
  const bool features_only = arrays == std::set<std::string>{"features"};
  if (!predictor.has_head() && (show || !features_only)) {
    throw InputError(options.checkpoint, "a model with a head",
                     "none; --what features --output FILE.npz writes its features");
  }
  const auto inputs = open_inputs(options, paths);
  Predictions predictions;
  compute_batches(device, options.batch_size,
                  [&] { predictions = predict_inputs(predictor, inputs, options, arrays); });
  const bool any = predictions.indices.size(0) > 0;
  if (!options.output.empty() && any) {
    write_arrays(options, arrays, predictions, !paths.empty());
  }
  const PredictionOutput output(predictor, predictions,
                                [&inputs](int64_t index) { return inputs.image_name(index); });
  if (show && (any || options.format != PredictionFormat::kTable)) {
    print_data(output.text(options.format));
  }
  auto document = output.json();
  document["label"] = options.label.empty() ? checkpoint_label(options.checkpoint) : options.label;
  line.write_json(document);
  report_bad_images(predictions.bad, inputs.size());
}

}  // namespace softmoe::cli
