#pragma once
/// Students that start from the weights of their teacher.

#include <torch/types.h>

#include <array>
#include <cstdint>
#include <string>

#include "datasets/dataset.h"
#include "train/run_options.h"
#include "train/training_start.h"

namespace softmoe {

/// What of the first teacher a student starts from.
enum class TeacherInit {
  kNone,           ///< nothing
  kAverage,        ///< what fits; dense blocks start from the mean of the experts in their place
  kMostImportant,  ///< what fits; dense blocks start from the most important expert
};
template <>
inline constexpr std::array<EnumName<TeacherInit>, 3> kEnumNames<TeacherInit>{
    {{TeacherInit::kNone, "none"},
     {TeacherInit::kAverage, "average"},
     {TeacherInit::kMostImportant, "most_important"}}};

/// How a student starts.
struct TeacherStartOptions {
  TeacherInit init = TeacherInit::kNone;
  int64_t importance_images = 1024;  ///< training images that the importance of experts is measured
                                     ///< on, up to a batch more

  bool operator==(const TeacherStartOptions&) const = default;
};
void describe(OptionTable& table, TeacherStartOptions& options);

/// `start`, a student with initial weights, after student_weights() of the model in the file
/// `teacher` replaced those that fit; a line of the log says how many. A teacher with more experts
/// than the student is pruned first, to the most important ones on images of `train_set`; one whose
/// student is dense is made dense as `options` say. Throws InputError that names the file if
/// nothing fits, or if it cannot be read.
TrainingStart start_from_teacher(const TeacherStartOptions& options, const std::string& teacher,
                                 TrainingStart start, const Dataset& train_set,
                                 const RunOptions& run, const torch::Device& device);

}  // namespace softmoe
