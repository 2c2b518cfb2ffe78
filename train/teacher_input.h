#pragma once
/// From the input of a student to that of its teacher.

#include <torch/types.h>

#include <string>

#include "checkpoints/model_description.h"
#include "datasets/preprocess_options.h"

namespace softmoe {

/// The preprocessing of the teacher `model`, called `name`, with the size and the channels that it
/// takes. Throws InputError that names it if the preprocessing is unknown or the channels are not 1
/// or 3.
PreprocessOptions teacher_preprocess(const ModelDescription& model, const std::string& name);

/// Turns images that were prepared for a student into what a teacher takes, so that both see the
/// same crop, mirroring and mixing: normalised with the teacher's mean and standard deviation,
/// resized if its size is another, gray images repeated in all channels and colours made gray by
/// the luma of ITU-R BT.601.
class TeacherInput {
 public:
  /// Both preprocessings have 1 or 3 channels.
  TeacherInput(const PreprocessOptions& student, const PreprocessOptions& teacher);

  /// Images [batch, channels, height, width] for the teacher of `images` for the student; the same
  /// tensor if nothing differs.
  torch::Tensor of(const torch::Tensor& images) const;

  /// What is done: "normalised again, resized to 32x32 px", or "as the student's".
  std::string text() const;

 private:
  torch::Tensor recolored(const torch::Tensor& images) const;

  int64_t channels_;  // of the teacher
  int64_t student_channels_;
  std::vector<int64_t> size_;  // of the teacher: height, width
  bool resizes_;
  bool normalizes_;
  torch::Tensor student_mean_;  // [student channels, 1, 1], as the next
  torch::Tensor student_std_;
  torch::Tensor teacher_mean_;  // [channels, 1, 1], as the next
  torch::Tensor teacher_std_;
};

}  // namespace softmoe
