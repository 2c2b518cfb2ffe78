#pragma once
/// The loss of a classifier with many classes without the logits of a whole batch: head and loss
/// are computed for some images at a time, and again in the backward pass, so that logits and their
/// gradients of these images alone are in memory.

#include <torch/types.h>

#include <functional>

#include "train/loss.h"

namespace softmoe {

/// Images of a batch of `batch` whose logits of `classes` are held at once:
/// `options.loss_chunk`, or for 0 all of them if that are at most 2^24 logits (64 MiB of fp32),
/// else equal parts of at most so many. At least 1 and at most `batch`.
int64_t loss_rows(const LossOptions& options, int64_t batch, int64_t classes);

/// Gives logits [rows, classes] of features [rows, feature_dim].
using Head = std::function<torch::Tensor(const torch::Tensor& features)>;

/// classification_losses() of the logits that `head` gives for `features` [batch, feature_dim],
/// `rows` images at a time, [batch]. Equal to those of all logits at once, gradients up to the
/// order of sums over images.
torch::Tensor chunked_losses(const LossOptions& options, const Head& head,
                             const torch::Tensor& features, const torch::Tensor& labels,
                             int64_t rows);

}  // namespace softmoe
