#pragma once
/// Evaluation on the validation set during a run.

#include <functional>
#include <optional>

#include "datasets/dataset.h"
#include "datasets/transforms.h"
#include "train/hook.h"
#include "train/image_text_evaluation.h"

namespace softmoe {

/// Fills in TrainingState::evaluation, of the model and of the averages of its weights, and the
/// best accuracy so far. Comes before the hooks that write evaluations.
class EvaluationHook : public Hook {
 public:
  /// Evaluates on `val_set`, which must outlive the hook, preprocessed by `transform`. Calls
  /// `before_batch` before each batch.
  EvaluationHook(const Dataset& val_set, Transform transform, std::function<void()> before_batch);

  void at_evaluation(TrainingState& state) override;
  /// Evaluates if this sitting has not yet: the result of a finished run that was started again
  /// needs an evaluation. Nothing is recorded.
  void at_end(TrainingState& state) override;

 private:
  ClassificationResult evaluate_model(const TrainingState& state,
                                      VisionTransformerImpl& model) const;
  /// The result of an average of weights, which has the type of the run's model.
  ClassificationResult evaluate_average(const TrainingState& state, torch::nn::Module& model) const;
  ImageTextEvaluation evaluate_pairs(const TrainingState& state, ImageTextModelImpl& model) const;
  /// An evaluation of the model that learns, as far as its result, retrieval and tasks.
  Evaluation evaluate_state(TrainingState& state) const;
  BatchLoopOptions loop_options(const TrainingState& state) const;

  const Dataset& val_set_;
  Transform transform_;
  std::function<void()> before_batch_;
};

}  // namespace softmoe
