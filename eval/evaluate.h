#pragma once
/// Evaluates a classifier on a labelled set.

#include "eval/batch_loop.h"
#include "eval/metrics.h"

namespace softmoe {

/// Accuracy, loss and calibration of the logits [batch, num_classes] that `forward` gives for the
/// images of `loader`; mean average precision and loss of a multi-label set. Throws InputError for
/// logits that are not finite and for labels beyond `num_classes`.
ClassificationResult evaluate(const Forward& forward, Loader& loader, int64_t num_classes,
                              Likelihood likelihood, const BatchLoopOptions& options);

}  // namespace softmoe
