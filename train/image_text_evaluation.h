#pragma once
/// Evaluation of models of images and texts during a run.

#include <optional>

#include "eval/metrics.h"
#include "eval/retrieval.h"
#include "train/image_text_run.h"
#include "train/objective.h"

namespace softmoe {

/// What a validation set says of a model of images and texts.
struct ImageTextEvaluation {
  /// Zero-shot classification, if the set has labels. Else `top1` and `top5` are the means of both
  /// recalls at 1 and 5. In both cases `loss` is the mean contrastive loss of batches in the order
  /// of the set.
  ClassificationResult result;
  std::optional<RetrievalResult> retrieval;  ///< if the set has captions
};

/// Evaluates `model`, that of `run` or an average of it, in evaluation mode, on `set`.
ImageTextEvaluation evaluate_image_text(const ImageTextRun& run, ImageTextModelImpl& model,
                                        const Dataset& set, const Transform& transform,
                                        LoaderOptions loader, const ObjectiveOptions& objectives,
                                        const BatchLoopOptions& loop);

}  // namespace softmoe
