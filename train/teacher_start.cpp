#include "train/teacher_start.h"

#include <fmt/format.h>

#include <utility>

#include "checkpoints/load_into.h"
#include "checkpoints/open_model.h"
#include "checkpoints/surgery/student_weights.h"
#include "core/error.h"
#include "core/log.h"
#include "eval/pruning.h"

namespace softmoe {
namespace {

/// A model that a student starts from.
struct ReducedTeacher {
  VitOptions options;
  NamedTensors weights;
};

/// How the experts of `teacher` are reduced for `student`; nothing if they stay.
std::optional<PruneOptions> reduction(const TeacherStartOptions& options, const VitOptions& teacher,
                                      const VitOptions& student, int64_t seed) {
  PruneOptions prune{.importance_images = options.importance_images, .seed = seed};
  if (has_moe(teacher) && !has_moe(student)) {
    prune.to = PruneTarget::kDense;
    prune.how =
        options.init == TeacherInit::kAverage ? DenseFrom::kAverage : DenseFrom::kMostImportant;
    return prune;
  }
  if (has_moe(teacher) && has_moe(student) && student.moe.experts < teacher.moe.experts) {
    prune.experts = {student.moe.experts};
    return prune;
  }
  return std::nullopt;
}

ReducedTeacher reduced_teacher(const LoadedModel& teacher, const std::string& name,
                               const std::optional<PruneOptions>& reduction,
                               const Dataset& train_set, const LoaderOptions& loader) {
  if (!reduction) {
    return {.options = teacher.description.options, .weights = named_tensors(*teacher.model)};
  }
  PruneImages images;
  images.loader = loader;
  if (reduction->needs_importance()) {
    images.importance = &train_set;
    images.transform = Transform::evaluation(stored_preprocess(teacher.description, name));
  }
  auto pruned = std::move(prune(teacher, name, *reduction, images).models.front());
  return {.options = std::move(pruned.description.options), .weights = std::move(pruned.weights)};
}

}  // namespace

void describe(OptionTable& table, TeacherStartOptions& options) {
  table.add("teacher-init", options.init,
            "start from the weights of the first teacher that fit: dense blocks from the mean of "
            "the experts in their place or from the most important one, fewer experts from the "
            "most important ones");
  table.add("importance-images", options.importance_images,
            "training images that the importance of experts is measured on for --teacher-init, up "
            "to a whole batch more",
            {.unit = "images", .min = 1});
}

TrainingStart start_from_teacher(const TeacherStartOptions& options, const std::string& teacher,
                                 TrainingStart start, const Dataset& train_set,
                                 const RunOptions& run, const torch::Device& device) {
  if (options.init == TeacherInit::kNone) {
    return start;
  }
  const auto name = "--teacher " + teacher;
  const auto& student = start.model->options();
  const auto model = open_model(teacher, device);
  auto loader = run.loader;
  loader.drop_last = false;
  auto reduced = reduced_teacher(
      model, name, reduction(options, model.description.options, student, run.train.seed),
      train_set, loader);
  const auto weights = student_weights(std::move(reduced.weights), reduced.options, student,
                                       model.description.resize_mode, name);
  load_into(*start.model, weights, name, {.allow_missing = true});
  start.resize_mode = model.description.resize_mode;
  int64_t kept = 0;
  for (const auto& [tensor_name, tensor] : weights) {
    kept += tensor.numel();
  }
  int64_t total = 0;
  for (const auto& [tensor_name, tensor] : named_tensors(*start.model)) {
    total += tensor.numel();
  }
  log_line(fmt::format("{} of {} weights start from teacher {} ({:.2f} %)", kept, total, teacher,
                       100.0 * static_cast<double>(kept) / static_cast<double>(total)));
  return start;
}

}  // namespace softmoe
