#pragma once
/// Runs that distill: what `softmoe distill` adds to a training run.

#include <memory>
#include <string>

#include "train/feature_matcher.h"
#include "train/stored_teacher.h"
#include "train/teacher_options.h"
#include "train/teacher_start.h"

namespace softmoe {

/// All options of distillation.
struct DistillOptions {
  TeacherOptions teachers;
  TeacherStoreOptions store;
  TeacherStartOptions start;
  DistillationOptions loss;

  bool operator==(const DistillOptions&) const = default;
};

/// What a run that distills consists of beside its options and data.
struct DistillRun {
  TrainingStart start;
  std::shared_ptr<Teacher> teacher;
  std::shared_ptr<FeatureMatcher> matcher;  ///< null unless tokens are matched
};

/// Opens the teachers, makes a student of `model`, called `name`, and computes the outputs that are
/// to be stored. Sets the digests of `options` and the objective of `run`. Throws what
/// open_teachers(), start_from_teacher(), FeatureMatcher and store_teacher() throw.
DistillRun distill_run(DistillOptions& options, const std::string& name, const VitOptions& model,
                       RunOptions& run, const TrainingData& data, const torch::Device& device);

}  // namespace softmoe
