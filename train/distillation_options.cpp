#include "train/distillation_options.h"

#include <cmath>
#include <numbers>

namespace softmoe {
namespace {

/// What a weight that goes from `first` to `last` is after the share `progress` of the run.
double scheduled(WeightSchedule schedule, double first, double last, double progress) {
  double done = 0.0;  // of the way
  if (schedule == WeightSchedule::kLinear) {
    done = progress;
  } else if (schedule == WeightSchedule::kCosine) {
    done = 0.5 - 0.5 * std::cos(std::numbers::pi * progress);
  }
  return first + (last - first) * done;
}

}  // namespace

void describe(OptionTable& table, DistillationOptions& options) {
  table.add("distill-labels", options.labels,
            "what the teachers give: the probabilities of all classes, or the most probable class");
  table.add("distill-alpha", options.alpha,
            "weight of the teachers' loss; that of the labels of the data has the rest",
            {.min = 0, .max = 1});
  table.add(
      "distill-alpha-schedule", options.schedule,
      "how the weights go to --distill-alpha-final and --distill-feature-weight-final over the "
      "run");
  table.add("distill-alpha-final", options.final_alpha,
            "weight of the teachers' loss at the end of the run, unless it is constant",
            {.min = 0, .max = 1});
  table.add("distill-temperature", options.temperature,
            "the logits of teachers and student are divided by it for soft labels, whose loss is "
            "multiplied by its square",
            {.min = 1e-3, .max = 1e3});
  table.add("distill-features", options.features,
            "blocks of the student, from 0 on, whose tokens learn to give, by a linear map of each "
            "block, those of the first teacher at the same share of its depth; empty: none",
            {.unit = "blocks", .min = 0});
  table.add("distill-feature-weight", options.feature_weight,
            "weight of the loss of these tokens, which is added", {.min = 0, .max = 1e6});
  table.add("distill-feature-weight-final", options.final_feature_weight,
            "weight of this loss at the end of the run, unless it is constant",
            {.min = 0, .max = 1e6});
}

double teacher_weight(const DistillationOptions& options, double progress) {
  return scheduled(options.schedule, options.alpha, options.final_alpha, progress);
}

double label_weight(const DistillationOptions& options, double progress) {
  return 1.0 - teacher_weight(options, progress);
}

double feature_weight(const DistillationOptions& options, double progress) {
  return scheduled(options.schedule, options.feature_weight, options.final_feature_weight,
                   progress);
}

}  // namespace softmoe
