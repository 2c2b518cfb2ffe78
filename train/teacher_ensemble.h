#pragma once
/// Teachers that compute while the student learns.

#include <memory>
#include <string>
#include <vector>

#include "checkpoints/model_checkpoint.h"
#include "inference/inference_model.h"
#include "train/run_options.h"
#include "train/teacher.h"
#include "train/teacher_input.h"
#include "train/teacher_options.h"

namespace softmoe {

/// What teachers must fit to.
struct StudentTask {
  const std::vector<std::string>& class_names;  ///< of the data
  int64_t num_classes = 0;                      ///< of the student
  const PreprocessOptions& preprocess;          ///< of the student's images
  torch::Device device = torch::kCPU;
};

/// The mean of the probabilities of several models, which see the images of the student in the
/// inference engine.
class TeacherEnsemble final : public Teacher {
 public:
  /// Adds the model of `weights`, whose memory is taken over, called `name`. Throws InputError that
  /// names it unless its classes are those of `task`, both in number and, if it has names, by name,
  /// and its preprocessing is known; UsageError for a precision that it or the processor does not
  /// have.
  void add(LoadedWeights weights, const std::string& name, Precision precision,
           const StudentTask& task);

  torch::Tensor probabilities(const Batch& batch, double temperature) override;

 private:
  struct Member {
    std::string name;
    Likelihood likelihood;
    TeacherInput input;
    InferenceModel model;
  };
  std::vector<Member> members_;
};

/// The teachers that `options` name, each with a line of the log; sets `options.digests`. Throws
/// UsageError if no teacher is named, InputError if the digest of one is not what `options` say,
/// and like TeacherEnsemble::add().
std::shared_ptr<Teacher> open_teachers(TeacherOptions& options, const StudentTask& task);

}  // namespace softmoe
