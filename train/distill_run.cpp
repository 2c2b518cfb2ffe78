#include "train/distill_run.h"

#include <utility>

#include "checkpoints/open_model.h"
#include "core/error.h"
#include "ops/compute_precision.h"
#include "train/teacher_ensemble.h"

namespace softmoe {
namespace {

std::shared_ptr<FeatureMatcher> feature_matcher(const DistillOptions& options,
                                                const VitOptions& model, const RunOptions& run,
                                                const torch::Device& device) {
  if (options.loss.features.empty()) {
    return nullptr;
  }
  const auto& teacher = options.teachers.teachers.front();
  const auto dtype = tensor_dtype(compute_precision(run.train.amp_dtype, device));
  return std::make_shared<FeatureMatcher>(open_model(teacher, device), teacher, model,
                                          run.preprocess, options.loss.features, run.train.seed,
                                          dtype);
}

/// Throws UsageError for options that need images of one size beside a schedule of sizes.
void check_sizes(const DistillOptions& options, const RunOptions& run) {
  if (run.train.image_size_schedule.empty()) {
    return;
  }
  const char* const option = !options.loss.features.empty()  ? "--distill-features"
                             : !options.store.folder.empty() ? "--teacher-outputs"
                                                             : nullptr;
  if (option != nullptr) {
    throw UsageError(option, "images of one size",
                     "--image-size-schedule " + run.train.image_size_schedule);
  }
}

}  // namespace

DistillRun distill_run(DistillOptions& options, const std::string& name, const VitOptions& model,
                       RunOptions& run, const TrainingData& data, const torch::Device& device) {
  check_sizes(options, run);
  run.objectives.distillation = options.loss;
  DistillRun result;
  result.teacher = open_teachers(options.teachers, {.class_names = data.train->class_names(),
                                                    .num_classes = model.num_classes,
                                                    .preprocess = run.preprocess,
                                                    .device = device});
  result.matcher = feature_matcher(options, model, run, device);
  result.start =
      start_from_teacher(options.start, options.teachers.teachers.front(),
                         fresh_start(name, model, run.train.seed), *data.train, run, device);
  const auto& teachers = options.teachers;
  result.teacher =
      store_teacher(options.store, std::move(result.teacher),
                    {.run = run,
                     .data = data,
                     .teachers = {{"digests", teachers.digests}, {"dtype", teachers.dtype}},
                     .classes = model.num_classes,
                     .device = device});
  return result;
}

}  // namespace softmoe
