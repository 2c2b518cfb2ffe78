#include "train/training_data.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "datasets/sources.h"
#include "train/image_sizes.h"
#include "train/optimizers.h"
#include "train/router_objective.h"

namespace softmoe {

TrainingData open_training_data(const DatasetOptions& options) {
  TrainingData data{.train = make_dataset(options, options.train_split),
                    .val = make_dataset(options, options.val_split)};
  if (data.train->class_names() != data.val->class_names()) {
    throw InputError(fmt::format("{}: split {}", options.dataset, options.val_split),
                     fmt::format("the {} classes of split {}", data.train->class_names().size(),
                                 options.train_split),
                     fmt::format("{} classes", data.val->class_names().size()));
  }
  const auto check_size = [&options](const Dataset& set, const std::string& split) {
    if (set.size() == 0) {
      throw InputError(fmt::format("{}: split {}", options.dataset, split), "images", "none");
    }
  };
  check_size(*data.train, options.train_split);
  check_size(*data.val, options.val_split);
  const bool has_captions = data.train->has_captions() && data.val->has_captions();
  if (!has_captions && data.train->class_names().size() < 2) {
    throw InputError(fmt::format("{}: split {}", options.dataset, options.train_split),
                     "two classes or more",
                     data.train->class_names().empty()
                         ? "none"
                         : "one, '" + printable_text(data.train->class_names().front()) + "'");
  }
  return data;
}

namespace {

/// Chooses a loss that takes any number of classes per image. Throws UsageError if the user has
/// chosen another.
void fit_multi_label_loss(LossOptions& options, bool is_chosen) {
  if (loss_row(options.loss).likelihood == Likelihood::kSigmoid) {
    return;
  }
  if (is_chosen) {
    throw UsageError("--loss", "sigmoid for images with several labels (--multi-label)",
                     options.loss);
  }
  options.loss = "sigmoid";
}

}  // namespace

void fit_options(RunOptions& options, VitOptions& model, const TrainingData& data,
                 const std::set<std::string>& keep) {
  const auto classes = static_cast<int64_t>(data.train->class_names().size());
  if (!keep.contains("num-classes")) {
    model.num_classes = classes;
  } else if (model.num_classes < classes) {
    throw UsageError("--num-classes", fmt::format("{} or more, the classes of the data", classes),
                     std::to_string(model.num_classes));
  }
  if (data.train->is_multi_label()) {
    fit_multi_label_loss(options.objectives.loss, keep.contains("loss"));
  }
  fit_optimizer(options.optimizer, keep);
  if (!keep.contains("hflip")) {
    options.preprocess.hflip = usual_hflip(options.data);
  }
  fit_router_losses(options.objectives.router_losses, model, keep);
  const auto given_size = options.preprocess.input_size;
  fit_preprocessing(options.preprocess, model);
  image_size_stages(options.train, model);  // throws for a schedule that cannot be
  if (keep.contains("input-size") && given_size != options.preprocess.input_size) {
    throw UsageError("--input-size", "the model's --in-chans and --img-size",
                     fmt::format("{}", fmt::join(given_size, " ")));
  }
}

void fit_router_losses(RouterLossOptions& losses, const VitOptions& model,
                       const std::set<std::string>& keep) {
  if (!has_moe(model)) {
    return;
  }
  const auto usual = default_router_losses(model);
  for (size_t row = 0; row < kRouterLossCount; ++row) {
    if (!keep.contains(std::string(router_loss_rows()[row].flag))) {
      losses.coefficients[row] = usual.coefficients[row];
    }
  }
}

void fit_head_bias(const LossOptions& options, VitOptions& model) {
  if (const auto bias = loss_row(options.loss).head_bias) {
    model.head_bias = bias(model.num_classes);
  }
}

void fit_preprocessing(PreprocessOptions& preprocess, const VitOptions& model) {
  preprocess.input_size = {model.in_chans, model.image_height(), model.image_width()};
}

}  // namespace softmoe
